import { type ChildProcess, spawn } from 'node:child_process';
import t from 'tap';
import { connect, until } from '../support/connection/peers.ts';
import { type SampleServer, startSample, without } from '../support/programs/samples.ts';

/** Somebody at a terminal. */
interface Guest {
  readonly child: ChildProcess;
  say(line: string): void;
  /** Waits until a line was printed. */
  sees(line: string): Promise<void>;
  lines(): string[];
}

function join(server: SampleServer): Guest {
  const child = spawn('socat', ['-', `TCP:127.0.0.1:${server.port}`]);
  let printed = '';
  child.stdout.on('data', (data) => (printed += String(data)));
  const lines = (): string[] => printed.split('\n').slice(0, -1);
  return {
    child,
    lines,
    say: (line) => void child.stdin.write(`${line}\n`),
    sees: (line) => until(() => lines().includes(line), `"${line}" after ${JSON.stringify(lines())}`),
  };
}

t.test('chat.ts with guests at socats', { skip: without('socat'), timeout: 60_000 }, async (t) => {
  const server = await startSample(t, 'chat.ts');
  const [ada, bob, cyd] = [join(server), join(server), join(server)];
  const all = { ada, bob, cyd };
  t.teardown(() => Object.values(all).forEach(({ child }) => child.kill()));
  for (const [name, guest] of Object.entries(all)) {
    guest.say(`/nick ${name}`);
    await guest.sees(`* you are ${name}`);
  }

  await t.test('what is said reaches the others of the room, and nobody else', async (t) => {
    cyd.say('/join attic');
    await ada.sees('* cyd went to attic');
    await cyd.sees('* you are cyd, in attic with 0 others');
    ada.say('hello, \u001b[31mbob');
    await bob.sees('ada: hello, [31mbob');
    bob.say('hello, ada');
    await ada.sees('bob: hello, ada');
    t.notOk(cyd.lines().some((line) => line.includes('hello')));
    t.notOk(ada.lines().some((line) => line.startsWith('ada: ')));
    ada.say('/join attic');
    await cyd.sees('* ada came');
    cyd.say('here I am');
    await ada.sees('cyd: here I am');
  });

  await t.test('names are unique, and are free again', async () => {
    bob.say('/nick ada');
    await bob.sees('* ada is taken');
    bob.say('/nick no good');
    await bob.sees('* a name has 1 to 20 letters, digits, _ and -');
    ada.say('/nick eve');
    await cyd.sees('* ada is now eve');
    bob.say('/nick ada');
    await bob.sees('* you are ada');
  });

  await t.test('/who lists the room, and an unknown command is told', async () => {
    cyd.say('/who');
    await cyd.sees('* in attic: cyd, eve');
    cyd.say('/dance');
    await until(() => cyd.lines().some((line) => line.startsWith('* there is no /dance')), 'the help');
  });

  await t.test('/quit says bye, and the others hear of it', async (t) => {
    cyd.say('/quit');
    await ada.sees('* cyd left');
    await until(() => cyd.child.exitCode !== null, 'socat to end');
    t.equal(cyd.lines().at(-1), '* bye');
  });

  await t.test('a signal ends it: each guest is told', async (t) => {
    t.equal(await server.end('SIGINT'), 0, server.output());
    await until(() => [ada, bob].every(({ child }) => child.exitCode !== null), 'the socats to end');
    for (const guest of [ada, bob]) t.equal(guest.lines().at(-1), '* the server ends');
    t.notMatch(server.output(), /Error/);
  });
});

t.test('chat.ts takes a last line that ends with the stream alone', async (t) => {
  const server = await startSample(t, 'chat.ts');
  const [listener, speaker] = await Promise.all([connect(server), connect(server)]);
  t.teardown(() => void [listener, speaker].forEach((socket) => socket.destroy()));
  let heard = '';
  listener.on('data', (data) => (heard += String(data)));
  await until(() => heard.includes('in lobby with'), 'the listener to be there');
  let read = '';
  speaker.on('data', (data) => (read += String(data)));
  speaker.write('/nick ada\n');
  await until(() => read.includes('* you are ada\n'), 'the name');
  t.match(`${read}${heard}`, /in lobby with 1 other\n/);
  speaker.end('good\nbye');
  await until(() => heard.includes('* ada left\n'), 'the speaker to leave');
  t.match(heard, 'ada: good\nada: bye\n* ada left\n');
  t.equal(await server.end('SIGTERM'), 0);
});

t.test('chat.ts drops who does not read, tells the rest, and forgets it', { timeout: 60_000 }, async (t) => {
  const server = await startSample(t, 'chat.ts');
  const [slow, talker, reader] = await Promise.all([connect(server), connect(server), connect(server)]);
  t.teardown(() => void [slow, talker, reader].forEach((socket) => socket.destroy()));
  let read = '';
  reader.on('data', (data) => (read += String(data).replace(/^talker: x+$/gm, '')));
  let heard = '';
  talker.on('data', (data) => (heard += String(data)));
  slow.write('/nick slow\n');
  talker.write('/nick talker\n');
  // Socket buffers of some megabytes are in between.
  const line = `${'x'.repeat(490)}\n`.repeat(200);
  for (let sent = 0; !heard.includes('* slow was dropped') && sent < 1_000; sent++) {
    if (!talker.write(line)) await new Promise((resolve) => talker.once('drain', resolve));
  }
  const news = '* slow was dropped: it did not read the last 256 lines';
  await until(() => heard.includes(news) && read.includes(news), 'the others to be told', 30_000);
  talker.write('/who\n');
  await until(() => /\* in lobby: .*talker/.test(heard), 'the answer', 30_000);
  t.notMatch(/\* in lobby: .*/.exec(heard)![0], /slow/);
  slow.resume();
  // A reset that is found behind bytes looks like an end to Node.
  await until(() => slow.readableEnded || slow.destroyed, 'its connection to be reset');
  // Of what was written to it, much was dropped by that: the talker alone has sent megabytes.
  t.ok(slow.bytesRead < talker.bytesWritten / 2);
  t.notMatch(read, /talker was dropped/);
  for (const socket of [slow, talker, reader]) socket.destroy();
  t.equal(await server.end('SIGTERM'), 0);
});

t.test('chat.ts refuses a line that does not end', async (t) => {
  const server = await startSample(t, 'chat.ts');
  const socket = await connect(server);
  let read = '';
  socket.on('data', (data) => (read += String(data)));
  socket.write('x'.repeat(600));
  await until(() => read.endsWith('* a line has at most 500 bytes\n') && socket.readableEnded, 'the refusal');
  socket.destroy();
  t.equal(await server.end('SIGTERM'), 0);
});
