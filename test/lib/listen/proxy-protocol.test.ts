import * as fc from 'fast-check';
import t from 'tap';
import { parseProxyHeader } from '../../../lib/listen/proxy-protocol.ts';
import {
  bytesOfIPv6,
  forms,
  ipAddresses,
  ipv4,
  proxyLine,
  proxyV1,
  proxyV2,
  unixAddresses,
  value,
} from '../../support/network/proxy-headers.ts';

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);

const text = (characters: string): Buffer => Buffer.from(characters);

t.test('each form of a header is understood, and the bytes behind it are left alone', async (t) => {
  for (const [name, bytes, source, destination = null] of forms) {
    for (const sent of [bytes, Buffer.concat([bytes, text('GET / HTTP/1.1\r\n\r\n')])]) {
      const header = parseProxyHeader(sent)!;
      t.equal(header.size, bytes.length, name);
      t.equal(header.source && String(header.source), source, name);
      t.equal(header.destination && String(header.destination), destination, name);
    }
  }
});

t.test('each beginning of each form wants more', async (t) => {
  const decided: string[] = [];
  for (const [name, bytes] of forms) {
    for (let size = 0; size < bytes.length; size++) {
      if (parseProxyHeader(bytes.subarray(0, size)) !== undefined) decided.push(`${name} cut at ${size}`);
    }
  }
  t.same(decided, []);
});

t.test('what is not a header is told so at the first byte that cannot be one', async (t) => {
  const early: [broken: Buffer, at: number][] = [
    [text('GET / HTTP/1.1\r\n'), 1],
    [text('proxy TCP4'), 1],
    [text('PROXY  TCP4'), 7],
    [text('PROXY TCP5 '), 10],
    [text('PROXY TCP4\r\n'), 11],
    [text('PROXY UNKNOWNS'), 14],
    [text('PROXY TCP4 ::1 '), 12],
    [text('PROXY TCP6 fe80::1%eth0 '), 19],
    [text('PROXY TCP4 1.2.3.4\n'), 19],
    [text('PROXY UNKNOWN x\rx'), 17],
    [text(`PROXY UNKNOWN ${'x'.repeat(200)}`), 106],
    [text('\r\n\r\n\0\r\nQUIT\r'), 12],
    [text('\r\n\r\n\0\r\nQUIT\n\x11'), 13],
    [proxyV2({ command: 0x22 }), 13],
    ...[0x01, 0x02, 0x03, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0x42, 0xff].map(
      (transport): [Buffer, number] => [proxyV2({ transport, addresses: ipv4 }), 14],
    ),
    [proxyV2({ length: 0x1000 }), 15],
    [proxyV2({ length: 0x0ff1 }), 16],
    [proxyV2({ length: 11 }), 16],
    [proxyV2({ transport: 0x21, length: 35 }), 16],
    [proxyV2({ transport: 0x31, length: 215 }), 16],
  ];
  for (const [bytes, at] of early) {
    const shown = JSON.stringify(bytes.toString('latin1'));
    t.equal(parseProxyHeader(bytes.subarray(0, at - 1)), undefined, `${shown} but for byte ${at}`);
    for (const size of [at, bytes.length]) {
      t.throws(() => parseProxyHeader(bytes.subarray(0, size)), { code: 'ERR_PROTOCOL' }, shown);
    }
  }
});

t.test('a whole line that is not exactly as specified is refused', async (t) => {
  const lines = [
    'TCP4 1.2.3.4 1.2.3.4 1',
    'TCP4 1.2.3.4 1.2.3.4 1 2 3',
    'TCP4 1.2.3.4 1.2.3.4 1 2 ',
    'TCP4 1.2.3.4  1.2.3.4 1 2',
    'TCP4  1.2.3.4 1.2.3.4 1 2',
    'TCP4 1.2.3.4 1.2.3.4 1  2',
    'TCP4 01.2.3.4 1.2.3.4 1 2',
    'TCP4 1.2.3 1.2.3.4 1 2',
    'TCP4 1.2.3.4 1.2.3.256 1 2',
    'TCP4 1.2.3.4 1.2.3.4 01 2',
    'TCP4 1.2.3.4 1.2.3.4 00 2',
    'TCP4 1.2.3.4 1.2.3.4 1 65536',
    'TCP4 1.2.3.4 1.2.3.4 1 100000',
    'TCP4 1.2.3.4 1.2.3.4 1 .2',
    'TCP4 ',
    'TCP4 1.2.3.4',
    'TCP6 1.2.3.4 ::1 1 2',
    'TCP6 ::1 1::2::3 1 2',
    'TCP6 ::00001 ::1 1 2',
    'TCP6 ::1 ::1 a 2',
  ];
  for (const line of lines) t.throws(() => parseProxyHeader(proxyLine(line)), { code: 'ERR_PROTOCOL' }, line);
});

t.test('values must fit the header exactly, and there is one checksum', async (t) => {
  const crc = value(0x03, Buffer.alloc(4));
  const malformed: [message: RegExp, ...values: Buffer[]][] = [
    [/^expected a last value that ends/, Buffer.from([4])],
    [/^expected a last value that ends/, Buffer.from([4, 0])],
    [/^expected a last value that ends/, Buffer.from([4, 0, 1])],
    [/^expected a last value that ends/, value(4, text('abc')), Buffer.from([4, 0xff, 0xff, 1])],
    [/^expected a CRC32c of 4 bytes, got one of 3$/, value(0x03, Buffer.alloc(3))],
    [/^expected a CRC32c of 4 bytes, got one of 5$/, value(0x03, Buffer.alloc(5))],
    [/^expected one CRC32c, got a second one$/, crc, crc],
  ];
  for (const [message, ...values] of malformed) {
    t.throws(() => parseProxyHeader(proxyV2({ addresses: ipv4, values })), { code: 'ERR_PROTOCOL', message });
  }
  const largest = proxyV2({ addresses: ipv4, values: [value(0x04, Buffer.alloc(4_096 - 16 - 12 - 3))] });
  t.equal(parseProxyHeader(largest)!.size, 4_096, 'the largest there may be');
});

t.test('an error shows what came, shortened, and nothing that a terminal obeys', async (t) => {
  t.throws(() => parseProxyHeader(text(`GET ${'x'.repeat(100)}`)), {
    name: 'ProtocolError',
    message:
      "expected a PROXY header with 'PROXY TCP4 ', 'PROXY TCP6 ' or 'PROXY UNKNOWN' at its beginning, " +
      `got "GET ${'x'.repeat(56)}…"`,
  });
  const odd = Buffer.from(Array.from({ length: 60 }, (_, index) => index * 4));
  t.throws(() => parseProxyHeader(Buffer.concat([text('P'), odd])), { message: /^[ -~]+…"$/ });
});

const port = fc.nat({ max: 65_535 });
const bytesOf = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array));
const path = fc.stringMatching(/^[!-~]{0,108}$/);
/** Types but that of the checksum. */
const values = fc.array(
  fc.record({ type: fc.nat({ max: 255 }).filter((type) => type !== 3), size: fc.nat({ max: 300 }) }),
  { maxLength: 8 },
);

t.test(`what a proxy writes is read as it was meant (seed ${seed})`, async () => {
  fc.assert(
    fc.property(
      bytesOf(16),
      bytesOf(16),
      port,
      port,
      values,
      fc.boolean(),
      (from, to, out, into, extra, isSigned) => {
        const made = extra.map(({ type, size }) => value(type, Buffer.alloc(size, type)));
        for (const [transport, width] of [
          [0x11, 4],
          [0x21, 16],
        ] as const) {
          const addresses = ipAddresses(from.subarray(0, width), to.subarray(0, width), [out, into]);
          const bytes = proxyV2({ transport, addresses, values: made, isSigned });
          const { size, source, destination } = parseProxyHeader(bytes)!;
          const [protocol, toBytes] = width === 4 ? ['TCP4', bytesOfIPv4] : ['TCP6', bytesOfIPv6];
          const isRight =
            size === bytes.length &&
            toBytes(source!.host).equals(from.subarray(0, width)) &&
            toBytes(destination!.host).equals(to.subarray(0, width)) &&
            source!.port === out &&
            destination!.port === into;
          if (!isRight) throw new Error(`read ${source} and ${destination}`);
          // The same in version 1: written as the system writes it, and as nobody does.
          const line = proxyV1(protocol as string, source!, destination!);
          const again = parseProxyHeader(line)!;
          if (`${again.size} ${again.source}` !== `${line.length} ${source}`)
            throw new Error(`read ${again.source}`);
          const spelt = parseProxyHeader(
            proxyV1(
              protocol as string,
              { ...source!, host: unlike(source!.host) },
              { ...destination!, host: unlike(destination!.host) },
            ),
          )!;
          if (`${spelt.source} ${spelt.destination}` !== `${source} ${destination}`)
            throw new Error(`read ${spelt.source}`);
        }
      },
    ),
    { seed, numRuns: 1_000 },
  );
  fc.assert(
    fc.property(path, path, (from, to) => {
      const { source, destination } = parseProxyHeader(
        proxyV2({ transport: 0x31, addresses: unixAddresses(from, to) }),
      )!;
      return source!.path === from && destination!.path === to && source!.host === '' && source!.port === 0;
    }),
    { seed, numRuns: 300 },
  );
});

function bytesOfIPv4(host: string): Buffer {
  return Buffer.from(host.split('.').map(Number));
}

/** The same IPv6 address in full and in capitals. */
function unlike(host: string): string {
  if (!host.includes(':')) return host;
  return bytesOfIPv6(host).toString('hex').toUpperCase().match(/.{4}/g)!.join(':');
}
