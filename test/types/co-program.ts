// A program written for `co` and its types. It compiles, and does the same, with `co` in place of
// `skein/co`; co.test.ts tries it.

import assert from 'node:assert/strict';
import co from 'skein/co';

function* add(a: number, b: Promise<number>): Generator<Promise<number>, number, number> {
  return a + (yield b);
}

const sum: Promise<number> = co(add, 1, Promise.resolve(2));
assert.equal((await sum).toFixed(1), '3.0');

const addLater: (a: number, b: Promise<number>) => Promise<number> = co.wrap(add);
assert.equal((await addLater(3, Promise.resolve(4))).toFixed(1), '7.0');

const length: number = await co(function* () {
  const text = yield Promise.resolve('text');
  const { rest, list } = yield { rest: [Promise.resolve(1)], list: add(1, Promise.resolve(2)) };
  return text.length + rest.length + list;
});
assert.equal(length, 8);

const greet = co.wrap(function* (name: string, ...others: string[]) {
  yield (callback: (error: null, value: number) => void) => callback(null, 1);
  return `hello ${[name, ...others].join(' and ')}`;
});
assert.equal((await greet('Ann', 'Bob')).toUpperCase(), 'HELLO ANN AND BOB');

class Account {
  balance = 1;
  readonly deposit = co.wrap(function* (this: Account, amount: number) {
    this.balance += yield Promise.resolve(amount);
    return this.balance;
  });
}
const account = new Account();
assert.equal((await account.deposit(2)).toFixed(1), '3.0');

const nothing: Promise<void> = co(function* () {});
assert.equal(await nothing, undefined);

const again: number = await co.co(add, 1, Promise.resolve(1));
// oxlint-disable-next-line import/no-named-as-default-member -- it is what is tried
const andAgain: number = await co.default(add, 1, Promise.resolve(1));
assert.equal(again, andAgain);

const everything: Promise<unknown>[] = [co(function* () {}), addLater(1, Promise.resolve(1))];
await Promise.all(everything).then((all) => assert.equal(all.length, 2));
await co(function* () {
  throw new Error('caught');
}).catch((error: Error) => assert.equal(error.message, 'caught'));

console.log('as expected');
