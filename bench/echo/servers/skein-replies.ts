// Coroutines, each message of a chunk answered by a write of its own.

import { run, serve } from 'skein';
import { MESSAGE } from './announce.ts';
import { options } from './skein.ts';

await run(() =>
  serve(
    0,
    function* (conn) {
      let data;
      while ((data = yield* conn.read()) !== null) {
        for (let at = 0; at < data.length; at += MESSAGE) yield* conn.write(data.subarray(at, at + MESSAGE));
      }
    },
    options,
  ),
);
