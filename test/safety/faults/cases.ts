// Which system calls fail with what, and what must come of it.

import type { Met } from './program.ts';

/** How a coordinator's client fared: served to its end, or cut off. */
export interface Client {
  readonly port: number;
  readonly fate: 'served' | 'cut off' | 'wrong bytes' | 'stuck';
}

export interface Case {
  readonly program: 'serve' | 'dial';
  readonly syscall: string;
  readonly error: string;
}

const ofServer: Readonly<Record<string, readonly string[]>> = {
  accept4: ['EMFILE', 'ENFILE', 'ECONNABORTED', 'EINTR', 'ENOBUFS', 'ENOMEM'],
  recvfrom: ['ECONNRESET', 'EINTR', 'ENOBUFS', 'ENOMEM', 'ETIMEDOUT'],
  sendto: ['ECONNRESET', 'EPIPE', 'EINTR', 'ENOBUFS', 'ENOMEM', 'ETIMEDOUT'],
  sendmsg: ['ECONNRESET', 'EPIPE', 'EINTR', 'ENOBUFS', 'ENOMEM', 'ETIMEDOUT'],
  epoll_ctl: ['ENOMEM', 'ENOSPC'],
};

const ofDialler: Readonly<Record<string, readonly string[]>> = {
  socket: ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'],
  connect: ['ECONNRESET', 'EINTR', 'ENOBUFS', 'ENOMEM', 'ETIMEDOUT'],
  epoll_ctl: ['ENOMEM', 'ENOSPC'],
  setsockopt: ['ENOBUFS', 'ENOMEM'],
  recvfrom: ['ECONNRESET', 'EINTR', 'ETIMEDOUT'],
  sendto: ['EPIPE', 'EINTR', 'ENOBUFS'],
};

export const cases: readonly Case[] = [...casesOf('serve', ofServer), ...casesOf('dial', ofDialler)];

function casesOf(program: Case['program'], all: Readonly<Record<string, readonly string[]>>): Case[] {
  return Object.entries(all).flatMap(([syscall, errors]) =>
    errors.map((error) => ({ program, syscall, error })),
  );
}

/**
 * What is wrong with a round in which `injected`, a line of strace, was made to fail; undefined stands for a
 * round that never came to that call. Nothing is wrong if the list is empty.
 */
export function judge(
  { program, syscall, error }: Case,
  injected: string | undefined,
  met: readonly Met[],
  clients: readonly Client[],
): string[] {
  const wrong = clients
    .filter(({ fate }) => fate === 'stuck' || fate === 'wrong bytes')
    .map(({ fate }) => fate as string);
  const cutOff = clients.filter(({ fate }) => fate === 'cut off');
  const places = placesOf(program, syscall, error, injected);
  if (places.length === 0) {
    if (met.length > 0) wrong.push('somebody met an error');
    if (cutOff.length > 0) wrong.push(`${cutOff.length} clients were cut off`);
    return wrong;
  }
  if (met.length === 0) wrong.push('nobody met the error');
  // A write that failed may come out once more, in the reader.
  if (new Set(met.map(({ whose }) => whose)).size > 1) wrong.push('more than one coroutine met it');
  for (const { at, code } of met) {
    if (!places.includes(at)) wrong.push(`it came out at ${at}, expected ${places.join(' or ')}`);
    if (code !== error) wrong.push(`its code was ${code}`);
  }
  const isWhole = syscall === 'accept4';
  if (cutOff.length > (isWhole ? 0 : 1)) wrong.push(`${cutOff.length} clients were cut off`);
  if (program === 'serve' && met.length > 0 && met[0]!.at !== 'accept') {
    for (const { port } of cutOff) if (port !== met[0]!.whose) wrong.push('another client was cut off');
  }
  return wrong;
}

/** Where the error may come out; nowhere if it must not be seen. */
function placesOf(
  program: Case['program'],
  syscall: string,
  error: string,
  injected: string | undefined,
): readonly Met['at'][] {
  if (injected === undefined || error === 'EINTR' || error === 'ECONNABORTED') return [];
  switch (syscall) {
    case 'accept4':
      return ['accept'];
    case 'socket':
    case 'connect':
      return ['dial', 'listen'];
    case 'epoll_ctl':
      return program === 'serve' ? ['accept'] : ['dial', 'listen'];
    case 'setsockopt':
      // Any other is a wish: the socket works without it.
      return injected.includes('SO_REUSEPORT') ? ['listen'] : [];
    default:
      // A gathered write fails after it has returned: the next one meets it, or the reader, or `onError`.
      return ['read', 'write', 'after'];
  }
}
