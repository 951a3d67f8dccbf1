import { type Body, type Coroutine, pause, spawn } from '../../scheduler/index.ts';
import { virtually } from './virtual.ts';

/** One world: coroutines that only pause and wait for each other, and what must hold when all have ended. */
export interface Scenario {
  workers: Body<unknown>[];
  /** Runs beside them and is never a victim. */
  helpers?: Body<unknown>[];
  /** Says what is wrong; undefined if nothing is. `victims` are the workers that were cancelled. */
  verify(victims: readonly number[]): string | undefined;
}

/** More steps than any scenario has: it hangs. */
const TOO_MANY = 500;

/**
 * Plays a scenario undisturbed, and then once for every worker, and every two of them, cancelled after every
 * step, by one who runs before the workers in each step and by one who runs after them.
 *
 * @returns what went wrong, and in how many plays
 */
export async function cancelEverywhere(
  make: () => Scenario,
): Promise<{ failures: string[]; plays: number; cancelled: number }> {
  const failures: string[] = [];
  let plays = 0;
  let cancelled = 0;
  const { workers } = make();
  const { length: steps } = await play([], 0, false);
  for (let step = 0; step <= steps; step++) {
    for (const isFirst of [true, false]) {
      for (let one = 0; one < workers.length; one++) {
        await play([one], step, isFirst);
        for (let two = one + 1; two < workers.length; two++) await play([one, two], step, isFirst);
      }
    }
  }
  return { failures, plays, cancelled };

  async function play(victims: number[], step: number, isFirst: boolean): Promise<{ length: number }> {
    plays++;
    const scenario = make();
    const spawned: Coroutine<unknown>[] = [];
    let length = 0;
    const report = (what: string): void => {
      failures.push(
        `cancelling ${victims.join(' and ')} in step ${step}, ${isFirst ? 'first' : 'last'}: ${what}`,
      );
    };
    await virtually(function* () {
      function* cancel() {
        for (let left = step; left > 0; left--) yield* pause();
        for (const victim of victims) spawned[victim]!.cancel();
      }
      if (isFirst) spawn(cancel);
      for (const worker of scenario.workers) spawned.push(spawn(worker));
      if (!isFirst) spawn(cancel);
      for (const helper of scenario.helpers ?? []) spawn(helper, { daemon: true });
      for (; spawned.some((one) => !hasEnded(one)); length++) {
        if (length > TOO_MANY) {
          report(`hangs: ${spawned.map((one) => one.describe() ?? one.state).join('; ')}`);
          for (const one of spawned) one.cancel();
          return;
        }
        yield* pause();
      }
    }).catch((error: unknown) => report(String(error)));
    for (const [index, one] of spawned.entries()) {
      if (one.state === 'cancelled') cancelled++;
      if (one.state === 'done' || (one.state === 'cancelled' && victims.includes(index))) continue;
      report(`${index} is ${one.state}`);
    }
    const complaint = scenario.verify(victims);
    if (complaint !== undefined) report(complaint);
    return { length };
  }
}

function hasEnded(coroutine: Coroutine<unknown>): boolean {
  return coroutine.state === 'done' || coroutine.state === 'cancelled' || coroutine.state === 'failed';
}
