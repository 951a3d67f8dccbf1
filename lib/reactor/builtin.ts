// Node's modules, without what an `import` of them costs. Two kinds come from here: those that take milliseconds and
// megabytes to load, which are loaded where they are first used, so that a program without TLS and HTTP never does; and
// `node:fs` and `node:util`, since an `import` reads all that a module exports, and Node loads some of that when it is
// read. Types come by `import type`, which loads nothing. Not `import()`, since the caller would have to wait; nor
// `process.getBuiltinModule`, which older versions do not have, and which tools that watch `require` do not see.

import { createRequire } from 'node:module';

interface Modules {
  'node:cluster': (typeof import('node:cluster'))['default'];
  'node:crypto': typeof import('node:crypto');
  'node:dgram': typeof import('node:dgram');
  'node:dns': typeof import('node:dns');
  'node:fs': typeof import('node:fs');
  'node:http': typeof import('node:http');
  'node:tls': typeof import('node:tls');
  'node:util': typeof import('node:util');
  'node:worker_threads': typeof import('node:worker_threads');
}

// A bundle for CommonJS has no URL. Node's own modules are the same from everywhere.
const require = createRequire(import.meta.url ?? process.execPath);

/** The same each time; asking again costs about a microsecond. */
export function builtin<Name extends keyof Modules>(name: Name): Modules[Name] {
  return require(name) as Modules[Name];
}
