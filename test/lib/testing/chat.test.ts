// The chat of the guide, tested as a user would: its handler on a network in memory, where an hour takes no time. In the
// runners that users have: each test is a program of its own, beside the code of the guide.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../../support/programs/compiled.ts';
import { Blocks } from '../../support/programs/documents.ts';
import { runProgram } from '../../support/programs/program.ts';

/** What the tests have in common: a server with the handler of the guide, and the client of the guide. */
const EVENING = `
import { type Co, listen, Scheduler, serve, spawn, VirtualClock } from 'skein';
import { memoryNetwork } from 'skein/testing';
import { askName, talk } from './chat.ts';
import { Room } from './room.ts';
import { enter, hear } from './visitor.ts';

export const HOUR = 3_600_000;

/** Ada and Bob talk; then nobody says anything. Gives what they hear, and the time that passes, by both clocks. */
export async function evening() {
  const clock = new VirtualClock();
  const network = memoryNetwork();
  const room = new Room();
  const log: string[] = [];
  const begun = performance.now();
  await new Scheduler({ clock, network }).run(function* (): Co<void> {
    const acceptor = yield* listen(9981);
    const server = serve(
      acceptor,
      function* (conn) {
        conn.idleTimeout = HOUR;
        const name = yield* askName(conn);
        if (name !== null) yield* talk(conn, name, room);
      },
      { onError: (error) => log.push((error as Error).name) },
    );
    spawn(() => server, { daemon: true });
    const ada = yield* enter(acceptor.address, 'ada');
    const bob = yield* enter(acceptor.address, 'bob');
    yield* ada.write('good morning\\n');
    log.push(yield* hear(bob), yield* hear(bob), yield* hear(ada));
    ada.close();
    bob.close();
  });
  return { log, passed: clock.now(), took: performance.now() - begun, open: network.open };
}

/** Milliseconds of the quickest of five: on a busy machine one may have to wait for others. */
export async function quickest() {
  let least = Infinity;
  for (let round = 0; round < 5; round++) least = Math.min(least, (await evening()).took);
  return least;
}

export const expected = ['TimeoutError', 'TimeoutError', 'ada: good morning', '(the end)', '(the end)'];
`;

const TESTS = {
  'node-test': `
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evening, expected, HOUR, quickest } from './evening.ts';

test('those who say nothing for an hour are shown out', async () => {
  const { log, passed, open } = await evening();
  const took = await quickest();
  assert.deepEqual(log, expected);
  assert.equal(passed, HOUR);
  assert.equal(open, 0);
  assert.ok(took < 50, \`it took \${took} ms\`);
});
`,
  tap: `
import t from 'tap';
import { evening, expected, HOUR, quickest } from './evening.ts';

t.test('those who say nothing for an hour are shown out', async (t) => {
  const { log, passed, open } = await evening();
  const took = await quickest();
  t.same(log, expected);
  t.equal(passed, HOUR);
  t.equal(open, 0);
  t.ok(took < 50, \`it took \${took} ms\`);
});
`,
};

const folder = join(root, 'test', 'lib', 'testing', `chat-${process.pid}`);
const blocks = new Blocks();
blocks.read(t, 'guide.md');
mkdirSync(folder);
t.teardown(() => rmSync(folder, { recursive: true }));
for (const name of ['room', 'chat', 'visitor'])
  writeFileSync(join(folder, `${name}.ts`), blocks.sources.get(name)!);
writeFileSync(join(folder, 'evening.ts'), EVENING);

for (const [runner, code] of Object.entries(TESTS)) {
  t.test(`the chat of the guide in ${runner}`, async (t) => {
    const path = join(folder, `${runner}.ts`);
    writeFileSync(path, code);
    const { exited, output } = runProgram([path]);
    t.equal(await exited, 0, output());
    t.match(output(), /those who say nothing for an hour are shown out/);
    t.comment(output());
  });
}
