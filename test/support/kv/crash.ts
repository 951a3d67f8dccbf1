// Kills samples/kv with SIGKILL at random moments under load, starts it again and looks for what it has acknowledged.
// For the test, which does so a few times, and for test/safety/kv/kill.ts, which does it often.

import { Chance } from './commands.ts';
import { KvClient, type Reply, startKv } from './peers.ts';

const CLIENTS = 20;

export interface Crashes {
  readonly folder: string;
  readonly fsync: 'always' | 'everysec' | 'no';
  readonly cycles: number;
  readonly seed: number;
  /** Milliseconds of acknowledged writes that may be lost. */
  readonly mayLose: number;
  onCycle?(cycle: number, acknowledged: number): void;
}

/** Gives what was lost, and how much was acknowledged in all. */
export async function crash({
  folder,
  fsync,
  cycles,
  seed,
  mayLose,
  onCycle,
}: Crashes): Promise<{ lost: string[]; acknowledged: number }> {
  const chance = new Chance(seed);
  // A small bound, so that the file is rewritten now and then in the middle of it.
  const env = { DIR: folder, APPENDONLY: 'yes', APPENDFSYNC: fsync, AUTO_AOF_REWRITE_MIN_SIZE: '200000' };
  const counters = new Map<string, number>();
  const lists = new Map<string, number>();
  const lost: string[] = [];
  let acknowledged = 0;
  for (let cycle = 1; cycle <= cycles; cycle++) {
    const kv = await startKv(env);
    if (kv.port === 0)
      return { lost: [...lost, `cycle ${cycle}: it does not start: ${kv.output()}`], acknowledged };
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => KvClient.connect(kv.port)));
    lost.push(...(await missing(clients[0]!, counters, lists)));
    const killAt = Date.now() + mayLose + 50 + chance.below(400);
    const isOk = (reply: Reply): boolean => typeof reply === 'number' || Array.isArray(reply);
    const writers = clients.map(async (client, index) => {
      const counter = `counter${index}`;
      const list = `list${index}`;
      for (let turn = 0; !client.isEnded; turn++) {
        if (fsync === 'always' && turn % 5 === 4) await client.ask('EXPIRE', counter, 10_000);
        if (fsync === 'always' && turn % 7 === 6) {
          const transaction = [['MULTI'], ['INCR', counter], ['RPUSH', list, 'm'], ['EXEC']];
          const reply = (await client.askAll(transaction))[3]!;
          if (Array.isArray(reply)) {
            note(counters, counter, reply[0] as number, 0);
            note(lists, list, reply[1] as number, 0);
          }
        }
        const [first, second] = await client.askAll([
          ['INCR', counter],
          ['RPUSH', list, 'x'.repeat(chance.below(50))],
        ]);
        const until = killAt - mayLose;
        if (isOk(first!)) note(counters, counter, first as number, until);
        if (isOk(second!)) note(lists, list, second as number, until);
      }
    });
    const note = (map: Map<string, number>, key: string, value: number, until: number): void => {
      if (mayLose > 0 && Date.now() > until) return;
      acknowledged++;
      map.set(key, Math.max(value, map.get(key) ?? 0));
    };
    await new Promise((resolve) => setTimeout(resolve, killAt - Date.now()));
    await kv.end('SIGKILL');
    await Promise.all(writers);
    onCycle?.(cycle, acknowledged);
  }
  const kv = await startKv(env);
  const client = await KvClient.connect(kv.port);
  lost.push(...(await missing(client, counters, lists)));
  client.close();
  await kv.end('SIGTERM');
  return { lost, acknowledged };
}

async function missing(
  client: KvClient,
  counters: Map<string, number>,
  lists: Map<string, number>,
): Promise<string[]> {
  const found: string[] = [];
  for (const [key, value] of counters) {
    const there = Number(await client.ask('GET', key));
    if (!(there >= value)) found.push(`${key} is ${there}, and ${value} was acknowledged`);
  }
  for (const [key, length] of lists) {
    const there = (await client.ask('LLEN', key)) as number;
    if (there < length) found.push(`${key} has ${there} elements, and ${length} were acknowledged`);
  }
  return found;
}
