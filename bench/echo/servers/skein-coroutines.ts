// The first server of skein's README.

import { run, serve } from 'skein';
import { options } from './skein.ts';

await run(() =>
  serve(
    0,
    function* (conn) {
      let data;
      while ((data = yield* conn.read()) !== null) yield* conn.write(data);
    },
    options,
  ),
);
