// A crawler: fetches a page, then the pages that it links to, and so on, each one once.
//
//   npx tsx --conditions=skein-source samples/crawl.ts                             (a small site of its own)
//   npx tsx --conditions=skein-source samples/crawl.ts http://127.0.0.1:8080/      (Ctrl-C ends it)
//
// Notice the line that fetches: a deadline for each attempt, another attempt after a failure, and how many
// pages are on their way at once, are words around a body, which knows nothing of them. Cancelling comes by
// itself: a deadline, an error elsewhere and Ctrl-C all abort the signal that `fetch` was given.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { CancelledError, forEach, retry, run, timeout, wait } from 'skein';
import { whole } from './environment.ts';

const CONCURRENCY = 4;
const DEADLINE = whole('DEADLINE', 200, { least: 1 }); // milliseconds for one attempt

class StatusError extends Error {
  readonly isTemporary: boolean;
  constructor(status: number) {
    super(`status ${status}`);
    this.isTemporary = status >= 500;
  }
}

async function load(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new StatusError(response.status);
  return response.text();
}

/** Whether another attempt may help. */
const mayHelp = (error: unknown): boolean => !(error instanceof StatusError) || error.isTemporary;

function* crawl(start: string) {
  const seen = new Set([start]);
  let loaded = 0;
  // The pages that are one click away, then those that are two clicks away: breadth first.
  for (let level = [start]; level.length > 0;) {
    const next: string[] = [];
    yield* forEach(level, { concurrency: CONCURRENCY }, function* page(url) {
      try {
        const text = yield* retry({ attempts: 3, base: 20, when: mayHelp }, () =>
          timeout(DEADLINE, () => wait((signal) => load(url, signal))),
        );
        loaded++;
        const links = linksOf(text, url).filter((link) => !seen.has(link));
        for (const link of links) seen.add(link);
        next.push(...links);
        console.log(`${url}: ${text.length} characters, ${links.length} new links`);
      } catch (error) {
        // One page that fails is no reason to end; that we are to end is.
        if (error instanceof CancelledError) throw error;
        console.log(`${url}: ${inWords(error as Error)}`);
      }
    });
    level = next;
  }
  return { loaded, seen: seen.size };
}

/** What `fetch` calls just "fetch failed" has a cause. */
function inWords({ message, cause }: Error): string {
  const { code } = (cause ?? {}) as NodeJS.ErrnoException;
  return code === undefined ? message : `${message} (${code})`;
}

/** The links of a page that stay on its site. */
function linksOf(text: string, base: string): string[] {
  const links = [...text.matchAll(/href="([^"#]+)/g)].map(([, href]) => new URL(href!, base).href);
  return [...new Set(links)].filter((link) => new URL(link).origin === new URL(base).origin);
}

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
const site = process.argv[2] === undefined ? await openSite() : undefined;
try {
  const { loaded, seen } = await run(() => crawl(process.argv[2] ?? site!.url), { signal: stop.signal });
  console.log(`${loaded} of ${seen} pages`);
  if (loaded === 0) process.exitCode = 1;
} catch (error) {
  if (!(error instanceof CancelledError)) throw error;
  console.log('interrupted');
} finally {
  site?.close();
}

/** A site with the troubles of a real one: a page that fails at first, one that never comes, a dead link. */
async function openSite(): Promise<{ url: string; close(): void }> {
  let failures = 0;
  const server = http.createServer(({ url }, response) => {
    if (url === '/never') return;
    if (url === '/gone') response.statusCode = 404;
    if (url === '/flaky' && ++failures < 3) response.statusCode = 503;
    const number = Number(url!.slice(1)) || 0;
    const links = number < 8 ? [2 * number + 1, 2 * number + 2] : ['flaky', 'never', 'gone'];
    setTimeout(() => response.end(links.map((link) => `<a href="/${link}">${link}</a>\n`).join('')), 20);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
