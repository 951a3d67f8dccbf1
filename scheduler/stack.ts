// How much of the thread's stack is free: the one thing that JavaScript does not say, and that decides whether
// something can be done to its end.

const take: (...values: unknown[]) => void = () => {};

/** Kept, since making one takes longer than the rest: of the size that was asked for last. */
let filler: unknown[] = [];

/** @throws RangeError unless so many values of eight bytes still fit on the stack: where arguments are put */
export function expectRoom(values: number): void {
  if (filler.length !== values) filler = Array.from({ length: values });
  take(...filler);
}
