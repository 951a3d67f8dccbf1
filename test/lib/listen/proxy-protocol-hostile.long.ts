// Hostile bytes for the parser of proxy headers, by the hundred thousand.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import type { ProxyHeader } from '../../../lib/listen/proxy-protocol.ts';
import { Random } from '../../../scheduler/kernel/random.ts';
import { forms } from '../../support/network/proxy-headers.ts';
import { checked, verdict, withoutStacks } from '../../support/network/proxy-verdicts.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);

const text = (characters: string): Buffer => Buffer.from(characters);

/** The same when they come one by one: the first verdict stands. */
function verdictByByte(bytes: Buffer): ProxyHeader | 'more' | 'broken' {
  for (let size = 1; size < bytes.length; size++) {
    const early = verdict(bytes.subarray(0, size));
    if (early !== 'more') return early;
  }
  return verdict(bytes);
}

/** Bytes that begin as a header does, more often than not. */
function hostile(random: Random, round: number): Buffer {
  const noise = Buffer.from(Array.from({ length: random.below(120) }, () => random.below(256)));
  if (round % 3 === 0) return noise;
  const [, bytes] = forms[random.below(forms.length)]!;
  const kept = bytes.subarray(0, random.below(bytes.length));
  if (round % 3 === 1) return Buffer.concat([kept, noise]);
  const alphabet = 'PROXY TCP46 UNKNOWN 0123456789.:abcdef%\r\n\0';
  return Buffer.concat([kept, text(Array.from(noise, (byte) => alphabet[byte % alphabet.length]).join(''))]);
}

/** A valid header with several of its bytes changed, left out or doubled. */
function mutated(random: Random): Buffer {
  let bytes = Buffer.from(forms[random.below(forms.length)]![1]);
  for (let count = 1 + random.below(5); count > 0; count--) {
    const at = random.below(bytes.length);
    const kind = random.below(3);
    if (kind === 0) bytes[at] = random.below(256);
    else
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(kind === 1 ? at + 1 : Math.max(at - 1, 0)),
      ]);
  }
  return bytes;
}

t.test(`hostile bytes are refused in bounded memory, at once as byte by byte (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const counts: Record<string, number> = { header: 0, more: 0, broken: 0 };
  const judge = (bytes: Buffer): void => {
    const atOnce = checked(bytes, verdict(bytes));
    const byByte = checked(bytes, verdictByByte(bytes));
    if (atOnce !== byByte) t.fail(`${atOnce} at once, ${byByte} byte by byte: ${bytes.toString('hex')}`);
    counts[atOnce in counts ? atOnce : 'header']!++;
  };
  withoutStacks(() => {
    for (let round = 0; round < 1_000; round++) judge(hostile(random, round));
    collectGarbage();
    const before = process.memoryUsage();
    for (let round = 0; round < 100_000; round++) judge(hostile(random, round));
    for (let round = 0; round < 10_000; round++) judge(mutated(random));
    collectGarbage();
    const after = process.memoryUsage();
    t.ok(after.heapUsed - before.heapUsed < 4_000_000, 'the heap is what it was');
    t.ok(after.arrayBuffers - before.arrayBuffers < 4_000_000, 'and so are buffers');
  });
  t.comment(counts);
  for (const count of Object.values(counts)) t.ok(count > 100, 'each verdict was given');
});
