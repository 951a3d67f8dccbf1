// A list that is pushed to and popped from at both ends. Its ends are arrays; what is between them is packed, so many
// elements to a text, as Redis has it in its quicklist: it takes a quarter of the memory, and there is little for
// the garbage collector to move. An element in the middle is found at once; to insert or remove one there makes the
// list anew.
//
//   #left (its last is the first of all)   #blocks, of BLOCK elements each   #right

import { type Block, BLOCK, elementOf, elementsOf, pack } from './block.ts';
import { Ring } from './ring.ts';

export class List {
  #left: string[] = [];
  #blocks = new Ring<Block>();
  #right: string[] = [];

  static of(elements: Iterable<string>): List {
    const list = new List();
    for (const element of elements) list.pushRight(element);
    return list;
  }

  get length(): number {
    return this.#left.length + this.#packed + this.#right.length;
  }

  /** The element with this index, which is below `length`. */
  at(index: number): string {
    const left = this.#left;
    const inside = index - left.length;
    if (inside < 0) return left[-inside - 1]!;
    if (inside >= this.#packed) return this.#right[inside - this.#packed]!;
    return elementOf(this.#blocks.at(Math.floor(inside / BLOCK)), inside % BLOCK);
  }

  set(index: number, element: string): void {
    const inside = index - this.#left.length;
    if (inside < 0) {
      this.#left[-inside - 1] = element;
    } else if (inside >= this.#packed) {
      this.#right[inside - this.#packed] = element;
    } else {
      const at = Math.floor(inside / BLOCK);
      this.#blocks.set(at, pack(elementsOf(this.#blocks.at(at)).with(inside % BLOCK, element)));
    }
  }

  pushRight(element: string): void {
    const right = this.#right;
    if (right.push(element) === 2 * BLOCK) this.#blocks.pushRight(pack(right.splice(0, BLOCK)));
  }

  pushLeft(element: string): void {
    const left = this.#left;
    if (left.push(element) === 2 * BLOCK) this.#blocks.pushLeft(pack(left.splice(0, BLOCK).toReversed()));
  }

  popRight(): string {
    if (this.#right.length === 0) {
      if (this.#blocks.length > 0) this.#right = elementsOf(this.#blocks.popRight());
      else this.#right = this.#left.splice(0, Math.ceil(this.#left.length / 2)).toReversed();
    }
    return this.#right.pop()!;
  }

  popLeft(): string {
    if (this.#left.length === 0) {
      if (this.#blocks.length > 0) this.#left = elementsOf(this.#blocks.popLeft()).toReversed();
      else this.#left = this.#right.splice(0, Math.ceil(this.#right.length / 2)).toReversed();
    }
    return this.#left.pop()!;
  }

  insert(index: number, element: string): void {
    const { length } = this;
    this.#become([...this.range(0, index - 1), element, ...this.range(index, length - 1)]);
  }

  /** Removes those that `isUnwanted` picks, from one end or from the other; says how many that were. */
  removeWhere(isUnwanted: (element: string) => boolean, most: number, fromRight: boolean): number {
    const kept: string[] = [];
    let removed = 0;
    const { length } = this;
    for (let step = 0; step < length; step++) {
      const element = this.at(fromRight ? length - 1 - step : step);
      if (removed < most && isUnwanted(element)) removed++;
      else kept.push(element);
    }
    if (removed > 0) this.#become(fromRight ? kept.toReversed() : kept);
    return removed;
  }

  /** Keeps the elements from one index to another, both included. */
  trim(from: number, to: number): void {
    if (to - from + 1 < this.length / 2) {
      this.#become(this.range(from, to));
    } else {
      for (let count = this.length - 1 - to; count > 0; count--) this.popRight();
      for (let count = from; count > 0; count--) this.popLeft();
    }
  }

  *range(from: number, to: number): Generator<string, void> {
    for (let index = from; index <= to; index++) yield this.at(index);
  }

  get #packed(): number {
    return this.#blocks.length * BLOCK;
  }

  #become(elements: Iterable<string>): void {
    const all = [...elements];
    this.#left = [];
    this.#blocks = new Ring();
    this.#right = [];
    for (const element of all) this.pushRight(element);
  }
}
