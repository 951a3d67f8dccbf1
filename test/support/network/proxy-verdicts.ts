// What the parser of proxy headers makes of bytes, for tests that give it many.

import { isIP } from 'node:net';
import { ProtocolError } from '../../../lib/index.ts';
import { parseProxyHeader, type ProxyHeader } from '../../../lib/listen/proxy-protocol.ts';

/** What the parser makes of bytes. */
export function verdict(bytes: Buffer): ProxyHeader | 'more' | 'broken' {
  try {
    return parseProxyHeader(bytes) ?? 'more';
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'ERR_PROTOCOL') return 'broken';
    throw error;
  }
}

/** A verdict that can be compared, and is well formed. */
export function checked(bytes: Buffer, result: ProxyHeader | 'more' | 'broken'): string {
  if (typeof result === 'string') return result;
  const { size, source, destination } = result;
  if (!(size >= 15 && size <= Math.min(bytes.length, 4_096))) throw new Error(`a size of ${size}`);
  if ((source === null) !== (destination === null)) throw new Error('one address of two');
  for (const end of [source, destination]) {
    if (end === null || (end.host === '' && end.port === 0)) continue;
    const isFit = isIP(end.host) > 0 && end.path === '' && end.port >= 0 && end.port <= 65_535;
    if (!isFit) throw new Error(`the address ${end}`);
  }
  return `${size} ${source} ${destination}`;
}

/** Runs a loop that makes many errors, without the cost of their stacks. */
export function withoutStacks(body: () => void): void {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    body();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
