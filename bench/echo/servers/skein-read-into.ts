// Coroutines that read into a buffer of their own, again and again.

import { run, serve } from 'skein';
import { options } from './skein.ts';

const SIZE = 65_536;

await run(() =>
  serve(
    0,
    function* (conn) {
      const buffer = Buffer.allocUnsafeSlow(SIZE);
      let length;
      while ((length = yield* conn.readInto(buffer)) > 0) yield* conn.write(buffer.subarray(0, length));
    },
    options,
  ),
);
