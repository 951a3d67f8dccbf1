// The samples without sockets of their own: they end by themselves and on SIGINT, with what they promise.

import { once } from 'node:events';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { portOf, until } from '../support/connection/peers.ts';
import { type Program, runProgram } from '../support/programs/program.ts';

const samples = join(dirname(fileURLToPath(import.meta.url)), '../../samples');

function start(sample: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Program {
  return runProgram([join(samples, sample), ...args], env);
}

/** Waits for a line of output, then interrupts the program; gives its exit status. */
async function interruptAfter(program: Program, line: string): Promise<number | null> {
  await until(() => program.lines().includes(line) || program.child.exitCode !== null, line);
  return program.end('SIGINT');
}

t.test('ping-pong.ts: the players take turns until the time is up', async (t) => {
  const game = start('ping-pong.ts', [], { GAME: '300' });
  t.equal(await game.exited, 0, game.output());
  const lines = game.lines();
  t.equal(lines.pop(), 'the whistle: time is up');
  t.ok(lines.length >= 1 && lines.length <= 7, `${lines.length} hits of 50 ms each in 300 ms`);
  t.strictSame(
    lines,
    lines.map((_, index) => `${index % 2 === 0 ? 'ping' : 'pong'} ${index + 1}`),
  );
});

t.test('ping-pong.ts: an interruption ends the game', async (t) => {
  const game = start('ping-pong.ts', [], { GAME: '60000' });
  t.equal(await interruptAfter(game, 'pong 2'), 0, game.output());
  t.equal(game.lines().at(-1), 'the whistle: interrupted');
});

t.test('sieve.ts prints the primes up to a limit', async (t) => {
  const sieve = start('sieve.ts', ['2000']);
  t.equal(await sieve.exited, 0, sieve.output());
  const primes: number[] = [];
  for (let n = 2; n <= 2000; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  t.strictSame(sieve.lines().map(Number), primes);
});

t.test('sieve.ts says what it expects', async (t) => {
  const sieve = start('sieve.ts', ['abc']);
  t.equal(await sieve.exited, 1);
  t.equal(sieve.output(), 'sieve.ts expects a number, up to which to print the primes, got "abc"\n');
});

t.test('sieve.ts: an interruption ends a sieve that would run for hours', async (t) => {
  const sieve = start('sieve.ts', ['1e9']);
  t.equal(await interruptAfter(sieve, '97'), 0, sieve.output());
  t.equal(sieve.lines().at(-1), 'interrupted');
});

t.test('crawl.ts visits each page of its own site, past pages that fail', async (t) => {
  // A busy machine may need a moment for a page.
  const crawl = start('crawl.ts', [], { DEADLINE: '1500' });
  t.equal(await crawl.exited, 0, crawl.output());
  const lines = crawl.lines();
  t.equal(lines.pop(), '18 of 20 pages');
  const paths = lines.map((line) => /^http:\/\/127\.0\.0\.1:\d+\/(\w*): /.exec(line)?.[1]);
  const numbers = Array.from({ length: 16 }, (_, index) => String(index + 1));
  t.strictSame(paths.toSorted(), ['', ...numbers, 'flaky', 'gone', 'never'].toSorted());
  const outcomeOf = (path: string) => lines[paths.indexOf(path)]?.replace(/^.*\/\w*: /, '');
  t.match(outcomeOf('flaky'), /characters/, 'it succeeds at the third attempt');
  t.equal(outcomeOf('gone'), 'status 404');
  t.equal(outcomeOf('never'), 'not done after 1500 ms');
});

/** A site of one page that links to ten others, which answer late or never. */
async function openSite(delay: number) {
  const requests: string[] = [];
  let open = 0;
  let most = 0;
  const server = http.createServer(({ url }, response) => {
    requests.push(url!);
    if (url === '/') {
      response.end(Array.from({ length: 10 }, (_, index) => `<a href="/page-${index}">`).join(''));
      return;
    }
    most = Math.max(most, ++open);
    response.on('close', () => open--);
    if (delay < Infinity) setTimeout(() => response.end(), delay);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${portOf(server)}/`;
  return { server, url, requests, open: () => open, most: () => most };
}

t.test('crawl.ts has four requests on their way at once, and asks for each page once', async (t) => {
  const site = await openSite(30);
  t.teardown(() => site.server.close());
  const crawl = start('crawl.ts', [site.url], { DEADLINE: '30000' });
  t.equal(await crawl.exited, 0, crawl.output());
  t.equal(crawl.lines().at(-1), '11 of 11 pages');
  t.equal(site.most(), 4);
  t.equal(site.requests.length, 11);
  t.equal(new Set(site.requests).size, 11);
});

t.test('crawl.ts fails if it can fetch nothing, and says why', async (t) => {
  const gone = http.createServer();
  await once(gone.listen(0, '127.0.0.1'), 'listening');
  const refusing = `http://127.0.0.1:${portOf(gone)}/`;
  gone.close();
  for (const [url, why] of [
    [refusing, 'fetch failed (ECONNREFUSED)'],
    ['abc', 'Failed to parse URL from abc (ERR_INVALID_URL)'],
  ] as const) {
    const crawl = start('crawl.ts', [url], { DEADLINE: '30000' });
    t.equal(await crawl.exited, 1);
    t.strictSame(crawl.lines(), [`${url}: ${why}`, '0 of 1 pages']);
  }
});

t.test('crawl.ts: an interruption aborts the requests that are on their way', async (t) => {
  const site = await openSite(Infinity);
  t.teardown(() => site.server.close());
  const crawl = start('crawl.ts', [site.url], { DEADLINE: '60000' });
  await until(() => site.open() === 4, 'four requests');
  t.equal(await crawl.end('SIGINT'), 0, crawl.output());
  t.equal(crawl.lines().at(-1), 'interrupted');
  await until(() => site.open() === 0, 'the requests to be aborted');
});
