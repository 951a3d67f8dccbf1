// Network namespaces for tests of what loopback cannot show: zones of addresses, a line that is cut.

import { spawnSync } from 'node:child_process';
import { type Program, runProgram } from './program.ts';

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

/** A namespace whose v0 leads to `peer`'s v0, or, without one, to a v1 of its own. */
export class Namespace {
  readonly name = `skein-${process.pid}-${made++}`;

  constructor(address: string, peer?: Namespace) {
    this.#must('netns', 'add', this.name);
    this.inside('link', 'set', 'lo', 'up');
    const end = peer === undefined ? ['name', 'v1'] : ['name', 'v0', 'netns', peer.name];
    this.inside('link', 'add', 'v0', 'type', 'veth', 'peer', ...end);
    for (const one of [this, ...(peer === undefined ? [] : [peer])]) one.inside('link', 'set', 'v0', 'up');
    if (peer === undefined) this.inside('link', 'set', 'v1', 'up');
    // No duplicate is looked for, which would take a second.
    this.inside('addr', 'add', address, 'dev', 'v0', ...(address.includes(':') ? ['nodad'] : []));
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
