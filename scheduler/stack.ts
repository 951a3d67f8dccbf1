// How much of the thread's stack is free: the one thing that JavaScript does not say, and that decides whether
// something can be done to its end.

const take: (...values: unknown[]) => void = () => {};

/** @throws RangeError unless so many values of eight bytes still fit on the stack: where arguments are put */
export function expectRoom(values: number): void {
  take(...Array.from({ length: values }));
}
