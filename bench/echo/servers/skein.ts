// What the servers on skein have in common.

import { type Address, reactorName } from 'skein';
import { BACKLOG } from './announce.ts';

export const options = {
  backlog: BACKLOG,
  /** A client that goes away in the middle is none of our business. */
  onError: (): void => {},
  onListening: tell,
};

/** Tells the driver where to find the server, and which reactor it got. */
export function tell(address: Address): void {
  console.log(`reactor ${reactorName()}`);
  console.log(`listening on ${address.port}`);
}
