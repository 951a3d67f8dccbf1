// A queue whose head moves: taking from the front costs the same whatever its length, where an array's
// `shift` would move all the others.
//
//   items:  _ _ c d e f _ _      head = 2, length = 4; the capacity is a power of two and wraps around

/** Room that the first value makes. */
const LEAST = 4;
/** Room that is kept in any case. */
const SPACIOUS = 1024;

export class Ring<T> {
  length = 0;
  #items: (T | undefined)[] = [];
  #head = 0;

  push(item: T): void {
    if (this.length === this.#items.length) this.#resize();
    this.#items[(this.#head + this.length) & (this.#items.length - 1)] = item;
    this.length++;
  }

  /** Puts one in front of the first. */
  unshift(item: T): void {
    if (this.length === this.#items.length) this.#resize();
    this.#head = (this.#head - 1) & (this.#items.length - 1);
    this.#items[this.#head] = item;
    this.length++;
  }

  /** Takes the first; only when there is one. */
  shift(): T {
    const item = this.#items[this.#head] as T;
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.length--;
    // A burst of values must not keep its room for ever.
    if (this.#items.length > SPACIOUS && this.length < this.#items.length / 4) this.#resize();
    return item;
  }

  /** Makes room for twice as many as there are. */
  #resize(): void {
    const { length } = this;
    const items: (T | undefined)[] = [];
    for (let index = 0; index < length; index++) {
      items.push(this.#items[(this.#head + index) & (this.#items.length - 1)]);
    }
    let room = LEAST;
    while (room < 2 * length) room *= 2;
    while (items.length < room) items.push(undefined);
    this.#items = items;
    this.#head = 0;
  }
}
