// Where the stack of an error begins that is made inside of an operation.

import { core } from './core.ts';
import { Leaf } from './operation.ts';

/**
 * Has an error that is made in a leaf begin with the user's line that performed it, not with our frames:
 * there are ten, and they should be the user's.
 */
export function atLeaf<E extends Error>(error: E): E {
  if (core.current === null) return error;
  Error.captureStackTrace(error, Leaf.prototype.next);
  // Made outside of a leaf, as for the callback of `send` in a coroutine: then all frames are the user's.
  if (!error.stack?.includes('\n    at ')) Error.captureStackTrace(error, atLeaf);
  return error;
}
