// The errors of lib/ that are not of the operating system, in the manner of those of scheduler/errors.ts.

/** The peer broke the protocol: what it sent is not what the protocol allows at that place. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly code = 'ERR_PROTOCOL';
}

/**
 * More came than was allowed, or was to be sent: a line, a frame. What came is still there for `read`.
 *
 * @example
 * ```ts
 * import { dial, LimitError, listen, run, spawn } from 'skein';
 *
 * await run(function* () {
 *   const acceptor = yield* listen(0);
 *   spawn(function* () {
 *     const conn = yield* dial(acceptor.address);
 *     yield* conn.write('far too long\n');
 *     conn.close();
 *   });
 *   const conn = yield* acceptor.accept();
 *   try {
 *     yield* conn.readLine({ limit: 5 });
 *   } catch (error) {
 *     console.log(error instanceof LimitError); // true
 *   }
 *   conn.close();
 *   acceptor.close();
 * });
 * ```
 */
export class LimitError extends Error {
  override readonly name = 'LimitError';
  readonly code = 'ERR_LIMIT';
}

/** The stream has ended inside of a frame. What came of it is still there for `read`. */
export class UnexpectedEofError extends Error {
  override readonly name = 'UnexpectedEofError';
  readonly code = 'ERR_UNEXPECTED_EOF';
}
