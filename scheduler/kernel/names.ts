// What channels, locks and gates share: their options, and how their waits are described.

import { checkOptions, optionNames } from './arguments.ts';
import type { Leaf } from './operation.ts';
import type { WaitQueue } from './wait-queue.ts';

/** How to make a channel, a lock or another thing to wait for. */
export interface NameOptions {
  /** The name in dumps and messages. */
  name?: string | undefined;
}

const NAME = optionNames<NameOptions>({ name: true });

/** The name of one that `what` makes; by default what it is, in words. */
export function nameOf(what: string, options: NameOptions, otherwise: string): string {
  checkOptions(what, options, NAME);
  return options.name ?? otherwise;
}

/** " (0 of 3 available, 2 waiting)": the state of what is waited for, and those in the same queue if several. */
export function notes({ length }: WaitQueue<Leaf<unknown>>, state?: string): string {
  const parts = state === undefined ? [] : [state];
  if (length > 1) parts.push(`${length} waiting`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}
