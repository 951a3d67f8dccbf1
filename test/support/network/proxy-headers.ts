// Makes the headers of the PROXY protocol that the tests of its parser send: those of well-behaved proxies,
// and, since nothing is checked, others.

export interface End {
  readonly host: string;
  readonly port: number;
}

const LOCAL = 0x20;
const PROXY = 0x21;

/** A line of version 1. */
export function proxyV1(protocol: string, source: End, destination: End): Buffer {
  return proxyLine(`${protocol} ${source.host} ${destination.host} ${source.port} ${destination.port}`);
}

export function proxyLine(rest: string): Buffer {
  return Buffer.from(`PROXY ${rest}\r\n`, 'latin1');
}

export interface Block {
  /** Version and command. */
  readonly command?: number;
  /** Family and transport. */
  readonly transport?: number;
  readonly addresses?: Buffer;
  /** What follows the addresses. */
  readonly values?: readonly Buffer[];
  /** What the header says of its own length, if that is not the truth. */
  readonly length?: number;
  /** A CRC32c is added behind the other values. */
  readonly isSigned?: boolean;
}

/** A block of version 2. */
export function proxyV2(block: Block): Buffer {
  const { command = PROXY, transport = 0x11, addresses = Buffer.alloc(0), values = [], isSigned } = block;
  const checksum = isSigned ? [value(0x03, Buffer.alloc(4))] : [];
  const body = Buffer.concat([addresses, ...values, ...checksum]);
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  fixed[12] = command;
  fixed[13] = transport;
  fixed.writeUInt16BE(block.length ?? body.length, 14);
  const header = Buffer.concat([fixed, body]);
  if (isSigned) header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}

/** A type, a length and a value. */
export function value(type: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** Two IP addresses as their bytes, and two ports. */
export function ipAddresses(
  source: Uint8Array,
  destination: Uint8Array,
  ports: [source: number, destination: number],
): Buffer {
  const [from, to] = ports;
  return Buffer.concat([source, destination, Buffer.from([from >> 8, from & 255, to >> 8, to & 255])]);
}

/** Two paths of Unix sockets. */
export function unixAddresses(source: string, destination: string): Buffer {
  const block = Buffer.alloc(216);
  block.write(source, 0, 108, 'utf8');
  block.write(destination, 108, 108, 'utf8');
  return block;
}

/** The 16 bytes of an IPv6 address in any of its notations. */
export function bytesOfIPv6(host: string): Buffer {
  const hexadecimal = host.replace(/[\d.]+\.\d+$/, (dotted) => {
    const [a, b, c, d] = dotted.split('.').map(Number) as [number, number, number, number];
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head, tail] = hexadecimal.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = [...head!];
  if (tail !== undefined)
    groups.push(...Array.from({ length: 8 - head!.length - tail.length }, () => '0'), ...tail);
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** CRC-32C, most significant bit first: the other way round than the parser has it. */
export function crc32c(bytes: Uint8Array): number {
  let register = 0xffff_ffff;
  for (const byte of bytes) {
    register ^= reversed(byte, 8) << 24;
    for (let bit = 0; bit < 8; bit++) register = register < 0 ? (register << 1) ^ 0x1edc_6f41 : register << 1;
  }
  return reversed(~register, 32);
}

function reversed(number: number, bits: number): number {
  let result = 0;
  for (let bit = 0; bit < bits; bit++) result = ((result << 1) | ((number >>> bit) & 1)) >>> 0;
  return result;
}

/** 192.0.2.1:56324 and 192.0.2.255:443. */
export const ipv4 = ipAddresses(Buffer.from([192, 0, 2, 1]), Buffer.from([192, 0, 2, 255]), [56_324, 443]);
const ipv6 = ipAddresses(bytesOfIPv6('2001:db8::1'), bytesOfIPv6('::'), [0, 65_535]);
const unix = unixAddresses('/run/client.sock', '/run/server.sock');
const fullPath = `/${'x'.repeat(107)}`;

type Form = readonly [name: string, bytes: Buffer, source: string | null, destination?: string];

/** Every form of a header, and the addresses that it tells. */
export const forms: readonly Form[] = [
  ['v1 TCP4', Buffer.from('PROXY TCP4 1.2.3.4 255.0.0.9 0 65535\r\n'), '1.2.3.4:0', '255.0.0.9:65535'],
  ['v1 TCP6', Buffer.from('PROXY TCP6 2001:0DB8:0::00a1 ::1 1 22\r\n'), '[2001:db8::a1]:1', '[::1]:22'],
  [
    'v1 TCP6 mapped',
    Buffer.from('PROXY TCP6 ::ffff:1.2.3.4 ::FFFF:0102:0304 1 2\r\n'),
    '[::ffff:1.2.3.4]:1',
    '[::ffff:1.2.3.4]:2',
  ],
  ['v1 UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['v1 UNKNOWN, of 107 bytes', proxyLine(`UNKNOWN ${'\xff'.repeat(91)}`), null],
  ['v2 TCP4', proxyV2({ addresses: ipv4 }), '192.0.2.1:56324', '192.0.2.255:443'],
  ['v2 TCP6', proxyV2({ transport: 0x21, addresses: ipv6 }), '[2001:db8::1]:0', '[::]:65535'],
  [
    'v2 Unix',
    proxyV2({ transport: 0x31, addresses: unix }),
    'unix:/run/client.sock',
    'unix:/run/server.sock',
  ],
  [
    'v2 Unix, unnamed and a path of 108 bytes',
    proxyV2({ transport: 0x31, addresses: unixAddresses('', fullPath) }),
    'an unnamed socket',
    `unix:${fullPath}`,
  ],
  [
    'v2 with values',
    proxyV2({
      addresses: ipv4,
      values: [
        value(0x02, Buffer.from('example.org')),
        value(0x04, Buffer.from('')),
        value(0xea, Buffer.from('x')),
      ],
    }),
    '192.0.2.1:56324',
    '192.0.2.255:443',
  ],
  [
    'v2 with a checksum',
    proxyV2({ addresses: ipv4, values: [value(0x01, Buffer.from('h2'))], isSigned: true }),
    '192.0.2.1:56324',
    '192.0.2.255:443',
  ],
  ['v2 LOCAL', proxyV2({ command: LOCAL, transport: 0 }), null],
  [
    'v2 LOCAL with whatever',
    proxyV2({ command: LOCAL, transport: 0xff, addresses: Buffer.from('whatever') }),
    null,
  ],
  [
    'v2 unspecified',
    proxyV2({ command: PROXY, transport: 0, addresses: Buffer.from('what is this?') }),
    null,
  ],
  // UDP: valid, and nothing that a stream has to understand.
  ['v2 UDP4', proxyV2({ transport: 0x12, addresses: ipv4 }), null],
  [
    'v2 UDP6 with values',
    proxyV2({ transport: 0x22, addresses: ipv6, values: [value(0x04, Buffer.alloc(9))] }),
    null,
  ],
  ['v2 Unix datagram', proxyV2({ transport: 0x32, addresses: unix }), null],
];
