// A map whose members also stand in an array, each knowing its place. So a random member is found at once, and a scan
// needs no memory between its calls: the cursor is a place, and goes downwards.
//
//   members   a  b  c  d  e          removing b moves the last one to its place:   a  e  c  d
//                      ▲ cursor
//
// Invariant of a scan: whatever stands from the cursor on was given already, or came after the scan began. A removal
// moves a member only from there downwards, so one that is there all the time is never missed.

import { Buffer } from 'node:buffer';

/** What stands in a table; others add what they keep with it. */
export class Member {
  readonly key: string;
  /** Its place in the array. */
  at = -1;

  constructor(key: string) {
    this.key = key;
  }
}

/** Texts shorter than this are copied by V8 when they are cut out; longer ones hold on to what they were cut from. */
const COPIED_ANYWAY = 13;
const scratch = Buffer.allocUnsafeSlow(4096);

/** A text that is to be kept, cut loose from the chunk that it came in. */
export function own(text: string): string {
  if (text.length < COPIED_ANYWAY) return text;
  if (text.length > scratch.length) return Buffer.from(text, 'latin1').toString('latin1');
  return scratch.toString('latin1', 0, scratch.write(text, 0, 'latin1'));
}

export class Table<M extends Member> {
  readonly #byKey = new Map<string, M>();
  readonly #members: M[] = [];

  get size(): number {
    return this.#members.length;
  }

  get(key: string): M | undefined {
    return this.#byKey.get(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** The member must not be there yet. */
  add(member: M): void {
    member.at = this.#members.length;
    this.#members.push(member);
    this.#byKey.set(member.key, member);
  }

  remove(member: M): void {
    const last = this.#members.pop()!;
    if (last !== member) {
      last.at = member.at;
      this.#members[last.at] = last;
    }
    member.at = -1;
    this.#byKey.delete(member.key);
  }

  /** Removes by key; says whether it was there. */
  delete(key: string): boolean {
    const member = this.#byKey.get(key);
    if (member === undefined) return false;
    this.remove(member);
    return true;
  }

  /** Those who are there, in no particular order, and not to be changed while they are gone through. */
  get members(): readonly M[] {
    return this.#members;
  }

  random(): M | undefined {
    return this.#members[Math.floor(Math.random() * this.#members.length)];
  }

  /** So many of them, each once. */
  sample(count: number): M[] {
    if (count >= this.size) return [...this.#members];
    const places = new Map<number, number>();
    const chosen: M[] = [];
    // A shuffle of which only the first steps are made, and only the places it has touched are kept.
    for (let index = 0; index < count; index++) {
      const other = index + Math.floor(Math.random() * (this.size - index));
      chosen.push(this.#members[places.get(other) ?? other]!);
      places.set(other, places.get(index) ?? index);
    }
    return chosen;
  }

  /** Visits some `count` members from a cursor on; 0 begins, and is given when all were visited. */
  scan(cursor: number, count: number, visit: (member: M) => void): number {
    const from = cursor === 0 ? this.size : Math.min(cursor, this.size);
    const to = Math.max(0, from - count);
    for (let at = from - 1; at >= to; at--) visit(this.#members[at]!);
    return to;
  }
}
