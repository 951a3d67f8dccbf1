// strace on a process that runs already: it makes one system call of a kind fail, the Nth from then on.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Fault {
  readonly syscall: string;
  readonly error: string;
  /** Which call from the moment of attaching. */
  readonly when: number;
}

export interface Tracing {
  /** Lets go of the process; gives the line of the call that was made to fail, if it came to that. */
  end(): Promise<string | undefined>;
}

export function hasStrace(): boolean {
  return spawnSync('strace', ['-V']).status === 0;
}

/** Attaches to all threads of a process; resolves once they are traced. */
export function inject(pid: number, { syscall, error, when }: Fault, log: string): Promise<Tracing> {
  const fault = `inject=${syscall}:error=${error}:when=${when}`;
  const args = ['-f', '-e', `trace=${syscall}`, '-e', fault, '-o', log, '-p', String(pid)];
  const child = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let said = '';
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => reject(new Error(`strace has ended: ${said}`)));
    child.stderr.on('data', (data) => {
      said += String(data);
      if (!said.includes(' attached')) return;
      resolve({
        async end() {
          child.kill('SIGINT');
          await closed;
          return readFileSync(log, 'utf8')
            .split('\n')
            .find((line) => line.includes('(INJECTED)'));
        },
      });
    });
  });
}
