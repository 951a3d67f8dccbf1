import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { connect, readAll, until } from '../support/connection/peers.ts';
import { runProgram } from '../support/programs/program.ts';

const here = dirname(fileURLToPath(import.meta.url));

t.test('S6 echo-co.ts does the same when it imports skein/co', async (t) => {
  const sample = readFileSync(join(here, '../../samples/echo-co.ts'), 'utf8');
  const changed = sample.replace("from 'co';", "from 'skein/co';");
  t.not(changed, sample);
  const file = join(here, `echo-co-${process.pid}.ts`);
  writeFileSync(file, changed);
  t.teardown(() => rmSync(file));
  const server = runProgram([file], { HOST: '127.0.0.1', PORT: '0' });
  const address = /listening on 127\.0\.0\.1:(\d+)/;
  await until(() => address.test(server.output()) || server.child.exitCode !== null, 'the server to listen');
  const port = Number(address.exec(server.output())?.[1]);
  const echo = async (data: Buffer): Promise<Buffer> => {
    const socket = await connect({ port });
    const all = readAll(socket);
    socket.end(data);
    return all;
  };
  const sent = [1, 10, 100_000, 2_000_000].map((size) => randomBytes(size));
  const received = await Promise.all(sent.map(echo));
  for (const [index, data] of sent.entries()) t.ok(received[index]!.equals(data), `${data.byteLength} bytes`);
  t.equal(await server.end('SIGINT'), 0, server.output());
  t.notMatch(server.output(), /Warning/);
});
