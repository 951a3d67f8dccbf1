// Builds the addon where this repository is installed (`npm ci`). Where that cannot be done, for want of a
// compiler or of Linux, skein uses the portable reactor, and that is no failure.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const { status, stdout, stderr, error } = spawnSync('node-gyp', ['rebuild'], {
  cwd: fileURLToPath(new URL('.', import.meta.url)),
  // It may look for the headers of Node in vain.
  timeout: 180_000,
  encoding: 'utf8',
});
if (status === 0) {
  console.log('skein: built the epoll reactor');
} else {
  const why =
    error?.message ??
    `${stdout}\n${stderr}`
      .split('\n')
      .filter((line) => /error|ERR/i.test(line))
      .join('\n');
  console.log(`skein: the epoll reactor could not be built, the portable one will be used\n${why}`);
}
