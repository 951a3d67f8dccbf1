// `npm run bench`: puts every echo server under every load, in turn, round after round, and writes the
// medians as JSON, Markdown and SVG.
//
//   ROUNDS=5      how many rounds, at most three of most loads
//   SECONDS=1     seconds of the server's processor time that count
//   ONLY=regexp   only what matches, of `load server`, such as `base skein`; nothing is written

import { versionOf } from '../shared/build.ts';
import { medians } from '../shared/median.ts';
import { thisRun, writeResults } from '../shared/results.ts';
import { chart } from './chart.ts';
import { commandOf, type Contestant, contestants } from './contestants.ts';
import { here, prepare } from './prepare.ts';
import { type Held, loadServer, type Measured, startServer } from './process.ts';
import { type Figures, misses, type Results, tables } from './report.ts';
import { type Scenario, scenarios } from './scenarios.ts';

const rounds = Number(process.env['ROUNDS'] ?? 5);
const seconds = Number(process.env['SECONDS'] ?? 1);
const only = new RegExp(process.env['ONLY'] ?? '');
/** Seconds of processor time for the compiler to find out what is hot. */
const WARM_UP = 0.6;

const { go } = prepare();
const absent = await absentContestants();
const present = contestants.filter(({ id }) => !(id in absent));

const samples: Record<string, Record<string, Figures[]>> = {};
const failures: string[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const scenario of scenarios) {
    if (round > scenario.rounds) continue;
    for (const contestant of present) {
      const command = commandOf(contestant, scenario);
      if (command === null || !only.test(`${scenario.id} ${contestant.id}`)) continue;
      progress(`round ${round} of ${rounds}: ${scenario.title}, ${contestant.title}`);
      const figures = await measure(contestant, scenario, command);
      if (figures !== null) ((samples[scenario.id] ??= {})[contestant.id] ??= []).push(figures);
    }
  }
}
progress('');

/** Why some cannot take part: their server does not start, or not on the reactor that was asked for. */
async function absentContestants(): Promise<Record<string, string>> {
  const reasons: Record<string, string> = {};
  for (const contestant of contestants) {
    const scenario = scenarios.find((one) => commandOf(contestant, one) !== null);
    try {
      const server = await startServer(commandOf(contestant, scenario!)!, contestant.reactor);
      await server.stop();
      if (server.reactor !== contestant.reactor) reasons[contestant.id] = `it runs on ${server.reactor}`;
    } catch (error) {
      reasons[contestant.id] = (error as Error).message;
    }
    if (contestant.id in reasons) console.log(`${contestant.title} is absent: ${reasons[contestant.id]}`);
  }
  return reasons;
}

async function measure(
  contestant: Contestant,
  scenario: Scenario,
  command: readonly string[],
): Promise<Figures | null> {
  let server;
  try {
    server = await startServer(command, contestant.reactor);
    const found = await loadServer(server, scenario, WARM_UP, seconds);
    return 'messages' in found ? ofMessages(found, scenario) : ofIdle(found);
  } catch (error) {
    const failure = `${contestant.title}, ${scenario.title}: ${(error as Error).message} ${server?.complaints() ?? ''}`;
    failures.push(failure.trim());
    console.error(`\n${failure}`);
    return null;
  } finally {
    await server?.stop();
  }
}

function ofMessages(found: Measured, { size }: Scenario): Figures {
  const { messages, cpu, loadCpu, userShare, p50, p99, p999 } = found;
  const perMessage = (cpu * 1e6) / messages;
  return {
    cpu: perMessage,
    user: perMessage * userShare,
    system: perMessage * (1 - userShare),
    rate: messages / found.seconds,
    yield: (messages * size) / 1e6 / cpu,
    p50,
    p99,
    p999,
    busy: cpu / found.seconds,
    loadBusy: loadCpu / found.seconds,
  };
}

function ofIdle({ connections, opening, before, after, collected }: Held): Figures {
  return {
    bytes: (collected - before) / connections,
    uncollected: (after - before) / connections,
    opening: (opening * 1e6) / connections,
  };
}

function progress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${message.slice(0, 78).padEnd(78)}\r`);
}

function versionIn(contestant: Contestant): string {
  if (contestant.id === 'go') return go ?? '';
  return contestant.package === undefined ? '' : versionOf(here, contestant.package);
}

const results: Results = {
  ...thisRun(go, rounds),
  seconds,
  versions: Object.fromEntries(present.map((one) => [one.id, versionIn(one)])),
  absent,
  failures,
  figures: Object.fromEntries(
    Object.entries(samples).map(([scenario, by]) => [
      scenario,
      Object.fromEntries(Object.entries(by).map(([id, all]) => [id, medians(all)])),
    ]),
  ),
};

const markdown = tables(results);
console.log(markdown);
console.log(misses(results));
if (process.env['ONLY'] === undefined) {
  await writeResults(`${here}results`, {
    'echo.json': JSON.stringify(results),
    'echo.md': markdown,
    'echo.svg': chart(results),
  });
}
