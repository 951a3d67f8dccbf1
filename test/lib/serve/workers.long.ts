import t from 'tap';
import { withAddon } from '../../support/connection/bare.ts';
import { cycleWorkers } from '../../support/network/worker-cycles.ts';

// The long variant is `npm run test:workers`.
withAddon(() => {
  t.test('threads with reactors on one port may be terminated at any time', async (t) => {
    const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);
    t.comment(`SKEIN_SEED=${seed}`);
    const cycles = 8;
    const { messages, threads, broken, descriptors } = await cycleWorkers({ cycles, seed, isSource: true });
    t.comment(`${messages} messages, ${threads} threads served, ${broken} connections broken`);
    t.ok(messages > 0 && threads >= cycles - 1, 'they worked');
    t.equal(descriptors.after, descriptors.before);
  });
});
