// The databases: keys, what they hold, and when they expire. Everything that changes a key goes through here, because
// four others must hear of it: whoever watches the key, the append-only file, the snapshot that a rewrite is taking,
// and clients that wait for a list.
//
// The rule for commands: what `at` gives is only looked at. Who is about to change a value asks for it with `toChange`,
// so that a snapshot has it as it was, and says `changed` when it has changed.

import { log } from './append-only.ts';
import { List } from './list.ts';
import { Refusal, WRONG_TYPE } from './reply.ts';
import { Member, own, Table } from './table.ts';

export class Field extends Member {
  value: string;

  constructor(key: string, value: string) {
    super(key);
    this.value = value;
  }
}

export class Hash extends Table<Field> {
  readonly type = 'hash';
}

export class Members extends Table<Member> {
  readonly type = 'set';
}

export type Value = string | List | Hash | Members;

/** A key with what it holds. */
export class Entry extends Member {
  value: Value;
  /** Milliseconds since 1970; 0 for never. */
  expiry = 0;
  /** The number of the last snapshot that it need not be written to any more. */
  savedIn: number;

  constructor(key: string, value: Value) {
    super(key);
    this.value = value;
    this.savedIn = snapshot.number;
  }
}

class Expiring extends Member {
  readonly entry: Entry;

  constructor(entry: Entry) {
    super(entry.key);
    this.entry = entry;
  }
}

/** The snapshot that is being taken: it wants each entry before that changes. */
export const snapshot = {
  number: 0,
  save: null as ((database: Database, entry: Entry) => void) | null,
};

/** What happened, in numbers. */
export const counts = { changes: 0, expired: 0 };

/** While the append-only file is loaded nothing expires by itself: its end stands in there as well. */
export const clock = { isLoading: false };

/** One who wants to know that a key has changed: a client that watches it. */
export interface Watcher {
  isOutdated: boolean;
}

/** Lists that came into being while somebody waits for them: to be served when the command has ended. */
export const readyLists: { database: Database; key: string }[] = [];

export class Database {
  readonly index: number;
  readonly watchers = new Map<string, Set<Watcher>>();
  /** Keys that somebody waits for. */
  readonly awaited = new Set<string>();
  #entries = new Table<Entry>();
  #expiring = new Table<Expiring>();

  constructor(index: number) {
    this.index = index;
  }

  get size(): number {
    return this.#entries.size;
  }

  get expiringSize(): number {
    return this.#expiring.size;
  }

  /** What is there under a key. */
  find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiry === 0 || !isOver(entry)) return entry;
    this.#expire(entry);
    return undefined;
  }

  /** The text that a key holds. */
  text(key: string): string | undefined {
    const value = this.find(key)?.value;
    if (value !== undefined && typeof value !== 'string') throw new Refusal(WRONG_TYPE);
    return value;
  }

  /** The list, hash or set that a key holds, to look at. */
  at<T extends Value & object>(key: string, type: abstract new () => T): T | undefined {
    const value = this.find(key)?.value;
    if (value === undefined || value instanceof type) return value;
    throw new Refusal(WRONG_TYPE);
  }

  /** The same for one who is about to change it. */
  toChange<T extends Value & object>(key: string, type: abstract new () => T): T | undefined {
    const entry = this.find(key);
    if (entry === undefined) return undefined;
    if (!(entry.value instanceof type)) throw new Refusal(WRONG_TYPE);
    this.#preserve(entry);
    return entry.value;
  }

  /** The same; an empty one is made if there is none. */
  toFill<T extends Value & object>(key: string, type: new () => T): T {
    const found = this.toChange(key, type);
    if (found !== undefined) return found;
    const made = new type();
    this.#add(key, made);
    return made;
  }

  /** Lets a key hold something else, or be there; when it expires is forgotten, unless it is to be kept. */
  set(key: string, value: Value, keepExpiry = false): void {
    const entry = this.find(key);
    if (entry === undefined) {
      this.#add(key, value);
    } else {
      this.#preserve(entry);
      entry.value = value;
      if (entry.expiry !== 0 && !keepExpiry) this.#forgetExpiry(entry);
      if (value instanceof List && this.awaited.size > 0) this.#announce(key);
    }
    this.changed(key);
  }

  delete(key: string): boolean {
    const entry = this.find(key);
    if (entry === undefined) return false;
    this.#remove(entry);
    this.changed(key);
    return true;
  }

  /** A key that holds nothing any more is no key. */
  deleteIfEmpty(key: string, value: { readonly size: number } | { readonly length: number }): void {
    if (('size' in value ? value.size : value.length) === 0) this.delete(key);
  }

  /** Sets when a key expires; 0 for never. */
  setExpiry(key: string, expiry: number): void {
    const entry = this.find(key)!;
    this.#preserve(entry);
    if (expiry === 0) this.#forgetExpiry(entry);
    else if (entry.expiry === 0) this.#expiring.add(new Expiring(entry));
    entry.expiry = expiry;
    this.changed(key);
  }

  /** What a key holds has changed. */
  changed(key: string): void {
    counts.changes++;
    if (this.watchers.size === 0) return;
    outdate(this.watchers.get(key));
  }

  clear(): void {
    for (const entry of this.#entries.members) this.#preserve(entry);
    for (const [key, watchers] of this.watchers) if (this.#entries.has(key)) outdate(watchers);
    this.#entries = new Table();
    this.#expiring = new Table();
    counts.changes++;
  }

  /** All entries, those that are over as well. */
  get entries(): readonly Entry[] {
    return this.#entries.members;
  }

  scan(cursor: number, count: number, visit: (entry: Entry) => void): number {
    return this.#entries.scan(cursor, count, visit);
  }

  randomKey(): string | undefined {
    // Those that are over may be many, but each is removed by being looked at.
    for (let entry; (entry = this.#entries.random()) !== undefined;) {
      if (this.find(entry.key) !== undefined) return entry.key;
    }
    return undefined;
  }

  /** Looks at some keys that expire, picked at random; says how many were over, and are removed. */
  expireSome(count: number): number {
    const sample = this.#expiring.sample(count);
    let expired = 0;
    for (const { entry } of sample) {
      if (!isOver(entry)) continue;
      this.#expire(entry);
      expired++;
    }
    return expired;
  }

  /** Has the snapshot take an entry if it has not yet. */
  save(entry: Entry): void {
    this.#preserve(entry);
  }

  #preserve(entry: Entry): void {
    if (snapshot.save === null || entry.savedIn === snapshot.number) return;
    entry.savedIn = snapshot.number;
    snapshot.save(this, entry);
  }

  #add(key: string, value: Value): void {
    this.#entries.add(new Entry(own(key), value));
    if (value instanceof List && this.awaited.size > 0) this.#announce(key);
  }

  #announce(key: string): void {
    if (this.awaited.has(key)) readyLists.push({ database: this, key });
  }

  #remove(entry: Entry): void {
    this.#preserve(entry);
    if (entry.expiry !== 0) this.#forgetExpiry(entry);
    this.#entries.remove(entry);
  }

  #forgetExpiry(entry: Entry): void {
    this.#expiring.delete(entry.key);
    entry.expiry = 0;
  }

  #expire(entry: Entry): void {
    this.#remove(entry);
    counts.expired++;
    log.append(this.index, ['DEL', entry.key]);
    outdate(this.watchers.get(entry.key));
  }
}

function outdate(watchers: Iterable<Watcher> = []): void {
  for (const watcher of watchers) watcher.isOutdated = true;
}

function isOver(entry: Entry): boolean {
  return !clock.isLoading && entry.expiry !== 0 && entry.expiry <= Date.now();
}

export const databases: readonly Database[] = Array.from({ length: 16 }, (_, index) => new Database(index));

/** Gives the name of what a key holds, as TYPE does. */
export function typeOf(value: Value): string {
  if (typeof value === 'string') return 'string';
  return value instanceof List ? 'list' : value.type;
}
