// A program written for `co`, with the one import changed, against the packed package.

import co from 'skein/co';
import { sleep } from 'skein/scheduler';

const length = co.wrap(function* (text: string) {
  yield* sleep(1);
  const [given] = yield [Promise.resolve(text.length)];
  return given as number;
});
const total: number = await co(function* () {
  const { a, b } = yield { a: length('three'), b: length('four') };
  return a + b;
});
console.log(`${total} letters`);
