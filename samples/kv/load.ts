// Loading the append-only file: its commands are performed as if a client had sent them. A last one that is incomplete,
// as a crash leaves it, is cut off, and so is a transaction that does not end. Anything else that does not fit is no
// accident of that kind, and the server does not start.

import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { open, rm, truncate } from 'node:fs/promises';
import { type Co, ProtocolError, wait } from 'skein';
import { Client } from './clients.ts';
import { execute } from './dispatch.ts';
import { FileError, isSystemError } from './errors.ts';
import { clock } from './keyspace.ts';
import { rewritePath } from './rewrite.ts';

const CHUNK = 1_048_576;

export function* load(path: string): Co<void> {
  // What a rewrite has left that did not come to its end.
  yield* wait(rm(rewritePath(path), { force: true }));
  if (!existsSync(path)) return;
  clock.isLoading = true;
  try {
    const { good, size, commands } = yield* perform(path);
    console.log(`${path}: ${commands} commands, ${good} bytes`);
    if (good === size) return;
    console.log(`${path}: cut off at ${good}: the last ${size - good} bytes are no complete command`);
    yield* wait(truncate(path, good));
  } finally {
    clock.isLoading = false;
  }
}

/** Performs what is in the file; `good` is where the last command ends that stands by itself. */
function* perform(path: string): Co<{ good: number; size: number; commands: number }> {
  const loader = new Client(null, Infinity);
  const { parser } = loader;
  const file = yield* wait(open(path, 'r'));
  let [size, good, commands] = [0, 0, 0];
  try {
    for (const chunk = Buffer.alloc(CHUNK); ;) {
      const { bytesRead } = yield* wait(file.read(chunk, 0, CHUNK, null));
      if (bytesRead === 0) return { good, size, commands };
      size += bytesRead;
      parser.add(chunk.subarray(0, bytesRead));
      while (parser.next()) {
        const reply = execute(loader, parser.args);
        if (reply.startsWith('-')) {
          throw unfit(
            path,
            good,
            `cannot be performed: ${parser.args[0]} was refused: ${reply.slice(1).trim()}`,
          );
        }
        commands++;
        if (loader.transaction === null) good = size - parser.unfinished;
      }
    }
  } catch (error) {
    if (error instanceof ProtocolError) throw unfit(path, good, `is no command: ${error.message}`);
    if (isSystemError(error)) throw unfit(path, good, `cannot be read: ${error.message}`);
    throw error;
  } finally {
    yield* wait(file.close());
  }
}

function unfit(path: string, good: number, why: string): FileError {
  return new FileError(`${path}: what stands behind byte ${good} ${why}`);
}
