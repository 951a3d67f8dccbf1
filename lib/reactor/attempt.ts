// An attempt to connect to one address, without two things of Linux that nobody wants. A TCP socket whose own port is
// the one it dials connects to itself (RFC 793, simultaneous open): that happens where nobody listens in the range of
// ports that the system chooses from. And where the queue of a Unix listener is full, a socket that does not block is
// refused with EAGAIN: one that blocks waits. No event tells of room there, so it is tried again.
// Invariant: it ends once; when it ends, or is ended, nothing is left of it. While it goes on it keeps the process alive.

import { constants } from 'node:os';
import type { ConnectOwner, Endpoint, Socket } from './contract.ts';
import { systemError } from './system-error.ts';

/** How often it is tried to reach somebody else; as often as Go does. */
const TRIES = 3;

/** Milliseconds until a full queue is tried again: the first time, and at most. */
const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 64;

/** Begins to connect; gives a function that ends that. */
type Connect = (to: Endpoint, owner: ConnectOwner) => () => void;

/** `connect` as R14 has it. */
export function attempt(connect: Connect, to: Endpoint, owner: ConnectOwner): () => void {
  let end: () => void;
  let tries = 0;
  let pause = FIRST_PAUSE;
  const begin = (): void => {
    end = connect(to, { onConnect, onConnectError });
  };
  const onConnect = (socket: Socket): void => {
    if (!isConnectedToItself(socket)) {
      owner.onConnect(socket);
      return;
    }
    // Its port is free again at once, and whoever is to listen there finds it so.
    socket.reset();
    tries++;
    if (tries < TRIES) begin();
    else owner.onConnectError(systemError(constants.errno.ECONNREFUSED, 'connect', to));
  };
  const onConnectError = (error: NodeJS.ErrnoException): void => {
    if (to.path === '' || error.code !== 'EAGAIN') {
      owner.onConnectError(error);
      return;
    }
    const timer = setTimeout(begin, pause);
    end = () => clearTimeout(timer);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };
  begin();
  return () => end();
}

function isConnectedToItself({ localAddress: own, remoteAddress: other }: Socket): boolean {
  return own.port === other.port && own.port !== 0 && own.host === other.host;
}
