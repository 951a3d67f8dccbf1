// The header that a proxy puts before the bytes of a client, to say whose they are: HAProxy's "The PROXY
// protocol", doc/proxy-protocol.txt, version 1 (section 2.1) and version 2 (section 2.2). A pure function of
// bytes, with three invariants: a byte that no header has in its place is refused as soon as it is there, but
// for addresses and values, which are judged when the header is whole; nothing but a ProtocolError is thrown;
// a header is bounded. It is for those who were told to expect a header: to guess is to be spoofed (section 5).

import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { inWords } from '../../scheduler/kernel/errors.ts';
import { Address } from '../common/address.ts';
import { ProtocolError } from '../common/errors.ts';

/** What a header says. */
export interface ProxyHeader {
  /** Bytes of the header: the client's own begin behind them. */
  readonly size: number;
  /** The client's address; null if the header names none: then the peer's holds. */
  readonly source: Address | null;
  /** The address that the client spoke to; null with `source`. */
  readonly destination: Address | null;
}

/** Of version 1, its CRLF included. */
const LONGEST_LINE = 107;
const SHORTEST_LINE = 'PROXY UNKNOWN\r\n'.length;

/**
 * Of version 2. The specification wants a header to fit into the smallest TCP segment, which is 536 bytes; this
 * has room for what proxies tell of certificates, and is little to hold for whoever connects.
 */
const LARGEST_HEADER = 4_096;

/**
 * Reads the header at the beginning of what a connection has sent, both versions.
 *
 * @returns undefined while more bytes are needed to know
 * @throws ProtocolError if the bytes are not, and will not become, a well-formed header
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined {
  if (bytes.length === 0) return undefined;
  return bytes[0] === SIGNATURE[0] ? parseBlock(bytes) : parseLine(bytes);
}

/** How many of the bytes that follow belong to a header for certain, while it is not whole. */
export function bytesToCome(bytes: Buffer): number {
  if (bytes.length < SHORTEST_LINE) return SHORTEST_LINE - bytes.length;
  if (bytes[0] !== SIGNATURE[0]) return 1;
  if (bytes.length < FIXED) return FIXED - bytes.length;
  return FIXED + bytes.readUInt16BE(FIXED - 2) - bytes.length;
}

// Version 1, a line: PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n

/** How a line may begin, what may follow up to its end, and what its addresses are. */
interface Form {
  readonly start: string;
  readonly rest: RegExp;
  readonly isAddress: ((text: string) => boolean) | null;
}

const FORMS: readonly Form[] = [
  { start: 'PROXY TCP4 ', rest: /^[\d. ]*$/, isAddress: isIPv4 },
  { start: 'PROXY TCP6 ', rest: /^[\da-f:. ]*$/i, isAddress: isIPv6 },
  { start: 'PROXY UNKNOWN', rest: /^( .*)?$/, isAddress: null },
];

function parseLine(bytes: Buffer): ProxyHeader | undefined {
  const text = bytes.toString('latin1', 0, LONGEST_LINE);
  const form = FORMS.find(({ start }) => text.startsWith(start) || start.startsWith(text));
  if (form === undefined) {
    throw broken("'PROXY TCP4 ', 'PROXY TCP6 ' or 'PROXY UNKNOWN' at its beginning", bytes);
  }
  const { start, rest, isAddress } = form;
  // Either character ends the line, and must be part of a whole CRLF.
  const length = text.search(/[\r\n]/);
  const line = length === -1 ? text : text.slice(0, length);
  if (!rest.test(line.slice(start.length))) throw broken(`what may follow '${start}'`, bytes);
  if (line.length > LONGEST_LINE - 2) throw broken(`a line of at most ${LONGEST_LINE} bytes`, bytes);
  const ending = text.slice(line.length, line.length + 2);
  if (!'\r\n'.startsWith(ending)) throw broken('a CRLF at the end of the line', bytes);
  if (ending.length < 2) return undefined;
  const size = line.length + 2;
  if (isAddress === null) return { size, source: null, destination: null };
  const [source, destination, sourcePort, destinationPort, ...more] = line.slice(start.length).split(' ');
  if (!isAddress(source!) || !isAddress(destination ?? '')) throw broken('two addresses', bytes);
  if (!isPort(sourcePort) || !isPort(destinationPort) || more.length > 0) {
    throw broken('two ports from 0 to 65535 at the end of the line', bytes);
  }
  return {
    size,
    source: new Address(canonical(source!), Number(sourcePort)),
    destination: new Address(canonical(destination!), Number(destinationPort)),
  };
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** An IP address as the system prints it: the same client always bears the same name. */
function canonical(host: string): string {
  return isIPv4(host) ? host : new SocketAddress({ address: host, family: 'ipv6' }).address;
}

// Version 2, a block:
//
//   signature ── 12 bytes │ version, command │ family, transport │ length of the rest ── 2 bytes
//   source │ destination │ source port │ destination port │ type, length, value │ type, length, value …

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED = 16;
/** Version 2 and a command: the proxy speaks for itself, or for a client. */
const LOCAL = 0x20;
const PROXY = 0x21;
/** Room for the path of a Unix socket. */
const PATH = 108;
/** The type of a value that is the checksum of the header. */
const CRC32C = 0x03;

/** How the addresses of a family lie in the block. */
interface Family {
  readonly size: number;
  read(block: Buffer): { source: Address; destination: Address };
}

/** By the byte that names family and transport. */
const FAMILIES: ReadonlyMap<number, Family | null> = new Map<number, Family | null>([
  // Unspecified, and UDP, which a receiver may treat as that. Every other combination must be refused.
  [0x00, null],
  [0x12, null],
  [0x22, null],
  [0x32, null],
  [0x11, ip(4, (bytes) => bytes.join('.'))],
  [0x21, ip(16, (bytes) => canonical(bytes.toString('hex').match(/.{4}/g)!.join(':')))],
  [
    0x31,
    {
      size: 2 * PATH,
      read: (block) => ({
        source: new Address('', 0, path(block.subarray(0, PATH))),
        destination: new Address('', 0, path(block.subarray(PATH, 2 * PATH))),
      }),
    },
  ],
]);

function ip(width: number, host: (bytes: Buffer) => string): Family {
  return {
    size: 2 * width + 4,
    read: (block) => ({
      source: new Address(host(block.subarray(0, width)), block.readUInt16BE(2 * width)),
      destination: new Address(host(block.subarray(width, 2 * width)), block.readUInt16BE(2 * width + 2)),
    }),
  };
}

/** Up to the first zero. It is '' for most clients, whose sockets have no name, and for abstract names. */
function path(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? PATH : end);
}

function parseBlock(bytes: Buffer): ProxyHeader | undefined {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (SIGNATURE.compare(bytes, 0, known, 0, known) !== 0) throw broken('the signature of version 2', bytes);
  const [command, transport, high, low] = bytes.subarray(SIGNATURE.length, FIXED);
  if (command === undefined) return undefined;
  if (command !== LOCAL && command !== PROXY) {
    throw new ProtocolError(`expected version 2 with LOCAL or PROXY (0x20, 0x21), got ${hex(command)}`);
  }
  if (transport === undefined) return undefined;
  const family = command === LOCAL ? null : FAMILIES.get(transport);
  if (family === undefined) {
    throw new ProtocolError(
      `expected a family and a transport of version 2 (0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32), got ${hex(transport)}`,
    );
  }
  if (high === undefined) return undefined;
  const size = FIXED + high * 256 + (low ?? 0);
  if (size > LARGEST_HEADER) {
    throw new ProtocolError(
      `expected a PROXY header of at most ${LARGEST_HEADER} bytes, got ${size} or more`,
    );
  }
  if (low === undefined) return undefined;
  const least = FIXED + (family?.size ?? 0);
  if (size < least) {
    throw new ProtocolError(`expected at least ${least} bytes of PROXY header, got ${size}`);
  }
  if (bytes.length < size) return undefined;
  // What lies behind addresses that are not read is skipped with them.
  if (family === null) return { size, source: null, destination: null };
  checkValues(bytes.subarray(0, size), least);
  return { size, ...family.read(bytes.subarray(FIXED, least)) };
}

/** What follows the addresses must fit the header exactly. Only the checksum is looked at. */
function checkValues(header: Buffer, start: number): void {
  let checksumAt = -1;
  for (let at = start; at < header.length;) {
    const value = at + 3;
    const end = value > header.length ? Infinity : value + header.readUInt16BE(at + 1);
    if (end > header.length) {
      throw new ProtocolError(
        `expected a last value that ends with the PROXY header, after ${header.length} bytes, got one that does not`,
      );
    }
    if (header[at] === CRC32C) {
      if (checksumAt !== -1) throw new ProtocolError('expected one CRC32c, got a second one');
      if (end - value !== 4)
        throw new ProtocolError(`expected a CRC32c of 4 bytes, got one of ${end - value}`);
      checksumAt = value;
    }
    at = end;
  }
  if (checksumAt === -1) return;
  const expected = checksumWithout(header, checksumAt);
  const got = header.readUInt32BE(checksumAt);
  if (got !== expected) throw new ProtocolError(`expected the CRC32c ${hex(expected)}, got ${hex(got)}`);
}

/** The CRC32c (RFC 4960, appendix B) of a header, its own four bytes counted as zero. */
function checksumWithout(header: Buffer, checksumAt: number): number {
  let register = 0xffff_ffff;
  for (const [index, byte] of header.entries()) {
    if (index < checksumAt || index >= checksumAt + 4) register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (0x82f6_3b78 & -(register & 1));
  }
  return ~register >>> 0;
}

function hex(number: number): string {
  return `0x${number.toString(16).padStart(2, '0')}`;
}

function broken(expected: string, bytes: Buffer): ProtocolError {
  // One byte more than is shown, so that it is seen to be shortened; nothing that a terminal would obey.
  const got = inWords(bytes.toString('latin1', 0, 61)).replaceAll(
    /[\x7f-\xff]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16)}`,
  );
  return new ProtocolError(`expected a PROXY header with ${expected}, got ${got}`);
}
