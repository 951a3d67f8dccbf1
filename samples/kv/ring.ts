// Things that are pushed and popped at both ends, in an array whose size is a power of two and whose end is followed by its
// beginning.
//
//   d e · · · · a b c          first = 6, length = 5

const SMALLEST = 4;

export class Ring<T> {
  #places: (T | undefined)[] = Array.from({ length: SMALLEST });
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The item with this index, which is below `length`. */
  at(index: number): T {
    return this.#places[this.#place(index)]!;
  }

  set(index: number, item: T): void {
    this.#places[this.#place(index)] = item;
  }

  pushRight(item: T): void {
    this.#makeRoom();
    this.#places[this.#place(this.#length++)] = item;
  }

  pushLeft(item: T): void {
    this.#makeRoom();
    this.#first = this.#place(-1);
    this.#places[this.#first] = item;
    this.#length++;
  }

  popRight(): T {
    return this.#take(this.#place(--this.#length));
  }

  popLeft(): T {
    const place = this.#first;
    this.#first = this.#place(1);
    this.#length--;
    return this.#take(place);
  }

  #place(index: number): number {
    return (this.#first + index) & (this.#places.length - 1);
  }

  #take(place: number): T {
    const item = this.#places[place]!;
    this.#places[place] = undefined;
    const size = this.#places.length;
    if (size > 64 && this.#length < size / 8) this.#resize(size / 4);
    return item;
  }

  #makeRoom(): void {
    if (this.#length === this.#places.length) this.#resize(this.#length * 2);
  }

  #resize(size: number): void {
    const places: (T | undefined)[] = Array.from({ length: size });
    for (let index = 0; index < this.#length; index++) places[index] = this.at(index);
    this.#places = places;
    this.#first = 0;
  }
}
