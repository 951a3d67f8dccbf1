// What the servers in JavaScript have in common.

import type { AddressInfo } from 'node:net';

/** Connections that the kernel queues. */
export const BACKLOG = 4096;
/** Bytes of a message where each is answered by a write of its own. */
export const MESSAGE = 64;

/** Tells the driver where to find the server. */
export function announce(address: AddressInfo | string | null): void {
  console.log(`listening on ${(address as AddressInfo).port}`);
}
