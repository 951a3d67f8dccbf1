// Seeing inside: every living coroutine as data, and that data as a tree. Walking and printing are loops:
// coroutines may be nested deeper than the stack of the thread is long.

import { Coroutine, type CoroutineState, everyRoot } from '../kernel/coroutine.ts';
import type { Scope } from '../kernel/scope.ts';
import { hasRoom, stackOf } from './stack.ts';

/** A living coroutine at the moment of the dump. */
export interface CoroutineInfo {
  /** Its number, in the order of creation. */
  readonly id: number;
  /** As `Coroutine.name`. */
  readonly name: string;
  /** What it does at the moment. */
  readonly state: CoroutineState;
  /** Milliseconds since it was spawned. */
  readonly age: number;
  /** What it waits for, in words; undefined if it does not. */
  readonly waitingFor: string | undefined;
  /** The id of the coroutine in whose scope it lives; undefined for a root. */
  readonly parent: number | undefined;
  /**
   * Its frames, innermost first, as V8 writes them: "at echo (file:///app/echo.ts:12:30)"; those of skein's own
   * files are left out. Empty for one that runs, is ready, only waits for its children or at a bare `yield`, and
   * for all if less than half of the thread's stack is free where the dump is taken.
   */
  readonly stack: readonly string[];
}

/**
 * Every living coroutine of this process, parents before their children. It can be called anywhere, and
 * changes nothing: no coroutine runs for it.
 *
 * @example
 * ```ts
 * import { dump, run, sleep, spawn } from 'skein';
 *
 * await run(function* main() {
 *   spawn(() => sleep(5), { name: 'sleeper' });
 *   yield* sleep(1);
 *   for (const { name, waitingFor } of dump()) console.log(name, waitingFor); // main …, sleeper sleeping for 5 ms
 * });
 * ```
 */
export function dump(): CoroutineInfo[] {
  const found: CoroutineInfo[] = [];
  const withStacks = hasRoom();
  for (const root of everyRoot()) {
    const now = Math.round(root.scheduler.clock.now());
    for (let node: Scope | null = root; node !== null; node = following(node, root)) {
      if (node instanceof Coroutine) found.push(inform(node, now, withStacks));
    }
  }
  return found;
}

/** The next scope of a tree, parents first. */
function following(from: Scope, root: Scope): Scope | null {
  if (from.firstChild !== null) return from.firstChild;
  let node = from;
  while (node !== root) {
    if (node.after !== null) return node.after;
    node = node.parent!;
  }
  return null;
}

function inform(coroutine: Coroutine<unknown>, now: number, withStack: boolean): CoroutineInfo {
  return {
    id: coroutine.id,
    name: coroutine.name,
    state: coroutine.state,
    age: now - coroutine.born,
    waitingFor: coroutine.describe(),
    parent: coroutine.parent?.owner.id,
    stack: withStack ? stackOf(coroutine) : [],
  };
}

/** Brothers that look alike: the same state and place, and children that look alike. */
interface Group {
  /** The eldest first. */
  readonly members: CoroutineInfo[];
  /** The youngest first. */
  readonly children: readonly Group[];
}

/**
 * A dump as a tree for people to read. Coroutines of one parent that stand at the same place are printed
 * once, with their count and the first of their names.
 *
 * @param coroutines what `dump` gave; by default a dump of this moment
 */
export function formatDump(coroutines: readonly CoroutineInfo[] = dump()): string {
  const count = coroutines.length;
  const lines = [count === 1 ? '1 coroutine' : `${numeral(count)} coroutines`];
  const pending: Branch[] = fold(coroutines).map((group) => ({ group, level: 0, knot: '', margin: '' }));
  for (let branch = pending.pop(); branch !== undefined; branch = pending.pop()) {
    const { group, level, knot, margin } = branch;
    const isDeep = level >= DEEP;
    const trunk = margin + (group.children.length > 0 ? '│  ' : '   ');
    lines.push(knot + headline(group.members));
    for (const frame of group.members[0]!.stack) lines.push(trunk + frame);
    for (const [index, child] of group.children.entries()) {
      const isLast = index === 0;
      pending.push({
        group: child,
        level: level + 1,
        knot: margin + (isLast ? '└─ ' : '├─ ') + (isDeep ? `[${level + 1}] ` : ''),
        margin: isDeep ? margin : margin + (isLast ? '   ' : '│  '),
      });
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Levels that are indented; further ones bear their number. A margin for each would fill gigabytes. */
const DEEP = 32;

/** A group that is to be printed, with what stands before its first line and before the others. */
interface Branch {
  readonly group: Group;
  readonly level: number;
  readonly knot: string;
  readonly margin: string;
}

/** Folds a forest from its leaves up, and gives the groups of its roots, the youngest first. */
function fold(coroutines: readonly CoroutineInfo[]): readonly Group[] {
  const shapes = new Map<string, number>();
  /** The groups of the children of each, by their shape. */
  const families = new Map<number | undefined, Map<number, Group>>();
  const known = new Set(coroutines.map(({ id }) => id));
  for (const info of coroutines.toReversed()) {
    const children = [...(families.get(info.id) ?? [])];
    const ofChildren = children.map(([shape, { members }]) => `${shape}×${members.length}`);
    // Those at one line are alike whatever they are called: each client's coroutine has a name of its own.
    const place = info.stack.length > 0 ? info.stack : [label(info), info.waitingFor];
    const key = JSON.stringify([info.state, place, ofChildren]);
    const shape = shapes.get(key) ?? shapes.size;
    shapes.set(key, shape);
    const parent = info.parent !== undefined && known.has(info.parent) ? info.parent : undefined;
    const family = families.get(parent) ?? new Map<number, Group>();
    families.set(parent, family);
    const members = family.get(shape)?.members ?? [];
    members.push(info);
    // The eldest comes last: its place among the siblings and its children are those of the group.
    family.delete(shape);
    family.set(shape, { members, children: children.map(([, child]) => child) });
  }
  for (const family of families.values()) for (const { members } of family.values()) members.reverse();
  return [...(families.get(undefined)?.values() ?? [])];
}

function headline(members: readonly CoroutineInfo[]): string {
  const first = members[0]!;
  const [least, most] = ages(members);
  const age = least === most ? most : `${least} to ${most}`;
  const isSameWait = members.every(({ waitingFor }) => waitingFor === first.waitingFor);
  const wait =
    first.waitingFor === undefined ? '' : `: ${first.waitingFor}${isSameWait ? '' : ', and others'}`;
  return `${names(members)}, ${first.state}, ${age} old${wait}`;
}

function names(members: readonly CoroutineInfo[]): string {
  const first = members[0]!;
  if (members.length === 1) return `${label(first)} #${first.id}`;
  const isSameName = members.every((info) => label(info) === label(first));
  const some = members.slice(0, NAMED).map((info) => `${isSameName ? '' : `${label(info)} `}#${info.id}`);
  if (members.length > NAMED) some.push('…');
  const count = `× ${numeral(members.length)}`;
  return isSameName ? `${label(first)} ${count} (${some.join(' ')})` : `${some.join(', ')} ${count}`;
}

/** Of those that are printed once, so many are named. */
const NAMED = 3;

function ages(members: readonly CoroutineInfo[]): [least: string, most: string] {
  let least = Infinity;
  let most = 0;
  for (const { age } of members) {
    least = Math.min(least, age);
    most = Math.max(most, age);
  }
  return [duration(least), duration(most)];
}

/** The name, if it was given one: a number is shown beside it anyway, and would keep siblings apart. */
function label({ id, name }: CoroutineInfo): string {
  return name === `coroutine-${id}` ? 'coroutine' : name;
}

function duration(ms: number): string {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** 12345 as 12,345. */
function numeral(count: number): string {
  return count.toLocaleString('en-US');
}
