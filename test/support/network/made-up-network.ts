// A network that a test makes up, in place of the reactor's `connect`: what each address does, at which time of the
// test's clock it was tried, and what is still open.

import { type Body, Scheduler, type SchedulerOptions, VirtualClock } from '../../../scheduler/index.ts';
import { Timer } from '../../../scheduler/kernel/timers.ts';
import type { Endpoint, Reactor, Socket } from '../../../lib/reactor/contract.ts';
import { systemError } from '../../../lib/reactor/system-error.ts';
import { reactor } from '../connection/reactor.ts';

/** After so many milliseconds it connects, or fails with that errno; without one, nothing ever happens. */
export interface Behaviour {
  readonly after?: number;
  readonly errno?: number;
}

export class MadeUpNetwork {
  /** When each address was tried, and when attempts were ended: "250 ::1", "400 end ::1". */
  readonly log: string[] = [];
  /** Attempts that go on, and connections. */
  open = 0;
  readonly #hosts: Record<string, Behaviour>;
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler, hosts: Record<string, Behaviour>) {
    this.#scheduler = scheduler;
    this.#hosts = hosts;
  }

  readonly connect: Reactor['connect'] = (to, owner) => {
    const note = (what: string): void =>
      void this.log.push(`${this.#scheduler.clock.now()} ${what}${to.host}`);
    const { after, errno } = this.#hosts[to.host] ?? {};
    let isOver = false;
    note('');
    this.open++;
    const timer = new Timer(this.#scheduler.timers, () => {
      isOver = true;
      if (errno === undefined) {
        owner.onConnect(this.#socket(to));
        return;
      }
      this.open--;
      owner.onConnectError(systemError(errno, 'connect', to));
    });
    if (after !== undefined) timer.start(after);
    return () => {
      if (isOver) return;
      isOver = true;
      timer.stop();
      this.open--;
      note('end ');
    };
  };

  /** As far as a connection that is only closed needs it. */
  #socket(remoteAddress: Endpoint): Socket {
    let isOpen = true;
    const reset = (): void => {
      if (isOpen) this.open--;
      isOpen = false;
    };
    return {
      owner: null,
      remoteAddress,
      localAddress: remoteAddress,
      unwantRead() {},
      keep() {},
      reset,
    } as unknown as Socket;
  }
}

/** Puts a `connect` in the place of the reactor's; gives what takes it away. */
export function install(connect: Reactor['connect']): () => void {
  const before = reactor.connect;
  reactor.connect = connect;
  return () => {
    reactor.connect = before;
  };
}

/** Runs a body in a world whose time and network are made up; gives the network, in which nothing is open. */
export async function inMadeUpNetwork(
  hosts: Record<string, Behaviour>,
  body: (network: MadeUpNetwork, scheduler: Scheduler) => ReturnType<Body<unknown>>,
  options: SchedulerOptions = { clock: new VirtualClock() },
): Promise<MadeUpNetwork> {
  const scheduler = new Scheduler(options);
  const network = new MadeUpNetwork(scheduler, hosts);
  const remove = install(network.connect);
  try {
    await scheduler.run(() => body(network, scheduler));
  } finally {
    remove();
  }
  if (network.open > 0) throw new Error(`${network.open} attempts or connections were left open`);
  if (scheduler.timers.live > 0) throw new Error(`${scheduler.timers.live} timers were left`);
  return network;
}
