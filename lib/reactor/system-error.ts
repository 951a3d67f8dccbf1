// Errors of the operating system as Node words them (R10).

import { builtin } from './builtin.ts';
import type { Endpoint } from './contract.ts';

/** The error for an errno, such as `connect ECONNREFUSED 127.0.0.1:80`. */
export function systemError(errno: number, syscall: string, to?: Endpoint): NodeJS.ErrnoException {
  const [code, description] = builtin('node:util').getSystemErrorMap().get(-errno) ?? [
    `E${errno}`,
    'unknown error',
  ];
  let message = `${syscall} ${code}`;
  if (syscall === 'listen') message += `: ${description}`;
  if (to !== undefined) message += to.path === '' ? ` ${to.host}:${to.port}` : ` ${to.path}`;
  const error: NodeJS.ErrnoException = Object.assign(new Error(message), { errno: -errno, code, syscall });
  if (to === undefined) return error;
  return Object.assign(error, to.path === '' ? { address: to.host, port: to.port } : { address: to.path });
}

/** A stream of Node's was destroyed, by whoever has it, while it was read or written. */
export function prematureClose(): Error {
  const error = new Error('the stream was destroyed before its end');
  return Object.assign(error, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
