// A thread with a reactor of its own, which echoes on a port that it shares with others, and says when it does.
// Each of its connections begins with the thread's number. It is JavaScript, since a thread's first file cannot
// be TypeScript.

import { parentPort, threadId, workerData } from 'node:worker_threads';

const { port, isSource } = workerData;
if (isSource) {
  const { register } = await import('tsx/esm/api');
  register();
}
const { run, serve } = await import('skein');

await run(() =>
  serve(
    port,
    function* (conn) {
      yield* conn.write(`${threadId}\n`);
      for (let data; (data = yield* conn.read()) !== null;) yield* conn.write(data);
    },
    {
      reusePort: true,
      onError: () => {},
      onListening: (address) => parentPort.postMessage(address.port, []),
    },
  ),
);
