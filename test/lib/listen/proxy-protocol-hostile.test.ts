// Headers of proxies with each of their bytes changed, and what long ones cost.

import t from 'tap';
import { parseProxyHeader } from '../../../lib/listen/proxy-protocol.ts';
import { crc32c, forms, ipv4, proxyLine, proxyV2, value } from '../../support/network/proxy-headers.ts';
import { checked, verdict, withoutStacks } from '../../support/network/proxy-verdicts.ts';

const text = (characters: string): Buffer => Buffer.from(characters);

t.test('each form with any one byte changed is a header, or wants more, or is a ProtocolError', async (t) => {
  let broken = 0;
  withoutStacks(() => {
    for (const [, bytes] of forms) {
      for (let at = 0; at < bytes.length; at++) {
        for (let flip = 1; flip < 256; flip++) {
          bytes[at]! ^= flip;
          if (checked(bytes, verdict(bytes)) === 'broken') broken++;
          bytes[at]! ^= flip;
        }
      }
    }
  });
  t.ok(broken > 10_000, `${broken} were broken`);
});

t.test('a checksum tells every change that leaves it in its place', async (t) => {
  const bytes = forms.find(([name]) => name === 'v2 with a checksum')![1];
  for (let at = 16; at < bytes.length; at++) {
    // Types and lengths say where the checksum is.
    if ([28, 29, 30, 33, 34, 35].includes(at)) continue;
    bytes[at]! ^= 0x10;
    t.throws(() => parseProxyHeader(bytes), { code: 'ERR_PROTOCOL', message: /^expected the CRC32c 0x/ });
    bytes[at]! ^= 0x10;
  }
  t.equal(crc32c(text('123456789')), 0xe306_9283, 'the check value of CRC-32C');
});

t.test('time grows as the header does, and not with what follows', async (t) => {
  const filler = value(0x04, text('0123456789abcdef'));
  const small = proxyV2({ addresses: ipv4, values: Array(15).fill(filler), isSigned: true });
  const large = proxyV2({ addresses: ipv4, values: Array(210).fill(filler), isSigned: true });
  const times = Math.floor(large.length / small.length);
  t.ok(times > 10);
  const growth = timeOf(large, 1_000) / timeOf(small, 1_000 * times);
  t.ok(growth < 4, `in large headers a byte takes ${growth.toFixed(1)} times as long as in small ones`);
  for (const bytes of [small, proxyLine('UNKNOWN')]) {
    const followed = Buffer.concat([bytes, Buffer.alloc(4_000_000, 'x')]);
    t.ok(timeOf(followed, 5_000) < 10 * timeOf(bytes, 5_000));
  }
});

/** Microseconds of the processor. */
function timeOf(bytes: Buffer, rounds: number): number {
  const before = process.cpuUsage();
  for (let round = 0; round < rounds; round++) parseProxyHeader(bytes);
  const { user, system } = process.cpuUsage(before);
  return Math.max(user + system, 1);
}
