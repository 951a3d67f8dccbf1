// The errors of lib/ that are not of the operating system, in the manner of those of scheduler/errors.ts.

/** The peer broke the protocol: what it sent is not what the protocol allows at that place. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code = 'ERR_PROTOCOL';
}
