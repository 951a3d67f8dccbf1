// Network namespaces for tests of what loopback cannot show: zones of addresses, a line that is cut.

import { spawnSync } from 'node:child_process';
import { type Program, runProgram } from '../programs/program.ts';

let made = 0;

/** Why there can be none here; false if there can. */
export const noNamespaces = ((): string | false => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux, and root';
  const name = `skein-probe-${process.pid}`;
  const isMade =
    ip('netns', 'add', name) && ip('-n', name, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'v1');
  ip('netns', 'del', name);
  return isMade ? false : 'needs ip, and the right to make network namespaces';
})();

/** A namespace with an interface v0. That leads to a v1 beside it, until it is connected with another namespace. */
export class Namespace {
  readonly name = `skein-${process.pid}-${made++}`;

  constructor(address: string) {
    this.#must('netns', 'add', this.name);
    this.inside('link', 'set', 'lo', 'up');
    this.inside('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    this.inside('link', 'set', 'v0', 'up');
    this.inside('link', 'set', 'v1', 'up');
    // No duplicate is looked for, which would take a second.
    this.inside('addr', 'add', address, 'dev', 'v0', ...(address.includes(':') ? ['nodad'] : []));
  }

  /** One at the other end of the line, whose interface is v1. */
  opposite(address: string): Namespace {
    const other = new Namespace('10.255.255.1/32');
    other.inside('link', 'del', 'v0');
    this.inside('link', 'set', 'v1', 'netns', other.name);
    other.inside('link', 'set', 'v1', 'up');
    other.inside('addr', 'add', address, 'dev', 'v1');
    return other;
  }

  /** `ip`, in here. */
  inside(...args: string[]): void {
    this.#must('-n', this.name, ...args);
  }

  /** Runs `node ...args` in here; `ports` are those that the system chooses from for a socket without one. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}, ports = ''): Program {
    const setPorts = ports === '' ? '' : `echo ${ports} > /proc/sys/net/ipv4/ip_local_port_range;`;
    return runProgram(args, env, `exec ip netns exec ${this.name} bash -c '${setPorts} exec "$@"' bash "$@"`);
  }

  delete(): void {
    ip('netns', 'del', this.name);
  }

  #must(...args: string[]): void {
    if (!ip(...args)) throw new Error(`ip ${args.join(' ')} failed`);
  }
}

function ip(...args: string[]): boolean {
  return spawnSync('ip', args).status === 0;
}
