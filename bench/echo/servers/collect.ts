// Loaded before a server whose idle connections are counted: a SIGUSR2 collects garbage, twice, since what
// the first time finds may have to be finalized.

import process from 'node:process';

declare const Bun: { gc(isSynchronous: boolean): void } | undefined;

const collect = typeof Bun === 'undefined' ? globalThis.gc : () => Bun?.gc(true);
process.on('SIGUSR2', () => {
  for (let i = 0; i < 2; i++) collect?.();
});
