// Errors that are no fault of the program: what the system says, and what is wrong with the append-only file. They are
// reported in a line; all others are faults, and are never taken for one of these.

/** Something is wrong with the append-only file: another server has it, or what stands in it does not fit. */
export class FileError extends Error {
  override readonly name = 'FileError';
}

/** An error of the operating system, such as ENOSPC; those of Node's own checks have codes with an underscore. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && /^E[A-Z\d]+$/.test(String(error.code));
}

export function isNoFault(error: unknown): error is Error {
  return error instanceof FileError || isSystemError(error);
}
