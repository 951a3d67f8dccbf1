import { readdirSync, readFileSync } from 'node:fs';

/**
 * Seconds of processor time that the threads of a process have used, to the nanosecond: `stat` counts in hundredths of a
 * second, which is a tenth of what a run of some of these loads takes. Linux only.
 */
export function processorTime(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return nanoseconds / 1e9;
}
