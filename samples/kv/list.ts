// A list that is pushed to and popped from at both ends, in a ring whose size is a power of two. An element in the
// middle is found at once; to insert or remove one there moves the shorter side of it.
//
//   ring      d e · · · · a b c          first = 6, length = 5

const SMALLEST = 4;

export class List {
  #ring: (string | undefined)[] = emptyRing();
  #first = 0;
  #length = 0;

  static of(elements: Iterable<string>): List {
    const list = new List();
    for (const element of elements) list.pushRight(element);
    return list;
  }

  get length(): number {
    return this.#length;
  }

  /** The element with this index, which is below `length`. */
  at(index: number): string {
    return this.#ring[(this.#first + index) & (this.#ring.length - 1)]!;
  }

  set(index: number, element: string): void {
    this.#ring[(this.#first + index) & (this.#ring.length - 1)] = element;
  }

  pushRight(element: string): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#ring[(this.#first + this.#length++) & (this.#ring.length - 1)] = element;
  }

  pushLeft(element: string): void {
    if (this.#length === this.#ring.length) this.#resize(this.#length * 2);
    this.#first = (this.#first - 1) & (this.#ring.length - 1);
    this.#ring[this.#first] = element;
    this.#length++;
  }

  popRight(): string {
    const place = (this.#first + --this.#length) & (this.#ring.length - 1);
    const element = this.#ring[place]!;
    this.#ring[place] = undefined;
    this.#shrink();
    return element;
  }

  popLeft(): string {
    const element = this.#ring[this.#first]!;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#ring.length - 1);
    this.#length--;
    this.#shrink();
    return element;
  }

  insert(index: number, element: string): void {
    if (index < this.#length / 2) {
      this.pushLeft(element);
      for (let at = 0; at < index; at++) this.set(at, this.at(at + 1));
    } else {
      this.pushRight(element);
      for (let at = this.#length - 1; at > index; at--) this.set(at, this.at(at - 1));
    }
    this.set(index, element);
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
    if (to - from + 1 < this.#length / 2) {
      this.#become([...this.range(from, to)]);
    } else {
      for (let count = this.#length - 1 - to; count > 0; count--) this.popRight();
      for (let count = from; count > 0; count--) this.popLeft();
    }
  }

  *range(from: number, to: number): Generator<string, void> {
    for (let index = from; index <= to; index++) yield this.at(index);
  }

  #become(elements: readonly string[]): void {
    this.#ring = emptyRing();
    this.#first = 0;
    this.#length = 0;
    for (const element of elements) this.pushRight(element);
  }

  #shrink(): void {
    const size = this.#ring.length;
    if (size > 64 && this.#length < size / 8) this.#resize(size / 4);
  }

  #resize(size: number): void {
    const atEnd = this.#ring.slice(this.#first, this.#first + this.#length);
    const ring = atEnd.concat(this.#ring.slice(0, this.#length - atEnd.length));
    ring.length = size;
    this.#ring = ring;
    this.#first = 0;
  }
}

function emptyRing(): (string | undefined)[] {
  return Array.from({ length: SMALLEST });
}
