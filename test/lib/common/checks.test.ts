import t from 'tap';
import {
  Acceptor,
  bindUdp,
  type Body,
  Connector,
  dial,
  listen,
  run,
  serve,
  serveHttp,
} from '../../../lib/index.ts';

t.test('options that are none are told at once, and not taken for none at all', async (t) => {
  function* handle(): Generator<never, void> {}
  const calls: Record<string, Body<unknown>> = {
    listen: () => listen(0, 'localhost' as never),
    dial: () => dial(1, 5_000 as never),
    bindUdp: () => bindUdp(0, null as never),
    serve: () => serve(0, handle, 5_000 as never),
    serveHttp: () => serveHttp(0, handle, true as never),
  };
  for (const [name, call] of Object.entries(calls)) {
    const message = new RegExp(`^${name} expects an object of options, got `);
    await t.rejects(run(call), { name: 'TypeError', message });
  }
  t.throws(() => new Acceptor(0, 5 as never), { message: 'listen expects an object of options, got 5' });
  t.throws(() => new Connector(1, 5 as never), { message: 'dial expects an object of options, got 5' });
});
