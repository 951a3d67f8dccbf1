// What a peer takes is what counts, and not what the kernel accepts (N6).

import t from 'tap';
import { noOpenssl } from '../../support/connection/certificates.ts';
import { uses, ways } from '../../support/connection/slow-peers.ts';

// More than the kernel shows progress of in 5 s, and little enough to be read in 8 s.
const TOTAL = 1_000_000;
const RATE = 125_000;

t.test('a slow but steady reader gets everything', async (t) => {
  t.jobs = 100;
  for (const [way, meet] of Object.entries(ways)) {
    for (const [end, use] of Object.entries(uses)) {
      const skip = way.includes('TLS') && noOpenssl;
      t.test(`${way}, ${end}`, { skip }, async (t) => {
        const { got, error } = await meet(use, { total: TOTAL, rate: RATE });
        t.same({ got, error }, { got: TOTAL, error: '' });
      });
    }
    t.test(`${way}, while it sends`, { skip: way.includes('TLS') && noOpenssl }, async (t) => {
      const { got, error } = await meet(uses.close, { total: TOTAL, rate: RATE, isTalking: true });
      t.same({ got, error }, { got: TOTAL, error: '' });
    });
  }
});
