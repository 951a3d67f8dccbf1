// A small answer from a coroutine for each request.

import { run, serveHttp } from 'skein';

await run(() =>
  serveHttp(
    0,
    function* (_, response) {
      response.setHeader('Content-Type', 'text/plain');
      response.end('hello, world\n');
    },
    { onListening: ({ port }) => console.log(`listening on ${port}`), onError: () => {} },
  ),
);
