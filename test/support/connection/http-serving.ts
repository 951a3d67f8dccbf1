// An HTTP server that is up, for tests that talk to it from outside.

import { type HttpHandler, type HttpOptions, readBody, run, serveHttp } from '../../../lib/index.ts';
import { reactor } from './reactor.ts';
import { connect, readAll, until } from './peers.ts';

/** A server that is up, and how to end it. */
export async function serving(handler: HttpHandler, options: HttpOptions = {}) {
  const stop = new AbortController();
  let port = 0;
  const errors: [unknown, string | undefined][] = [];
  const ended = run(() =>
    serveHttp(0, handler, {
      signal: stop.signal,
      onListening: (address) => (port = address.port),
      onError: (error, request) => errors.push([error, request?.url]),
      ...options,
    }),
  );
  await until(() => port !== 0);
  const end = async (): Promise<void> => {
    stop.abort();
    await ended;
    await until(() => reactor.open === 0, 'all descriptors');
  };
  return { port, stop, ended, errors, end, url: `http://127.0.0.1:${port}` };
}

/** Answers with what it was asked. */
export const echo: HttpHandler = function* (request, response) {
  const body = yield* readBody(request);
  response.setHeader('X-Method', request.method ?? '');
  response.end(`${request.url} ${String(body)}`);
};

/** Sends raw bytes; gives all that comes back until the end. */
export async function talk(port: number, text: string): Promise<string> {
  const peer = await connect({ port });
  peer.write(text);
  const answer = String(await readAll(peer));
  peer.destroy();
  return answer;
}
