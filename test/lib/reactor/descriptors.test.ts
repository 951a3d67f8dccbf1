import { closeSync, openSync } from 'node:fs';
import t from 'tap';
import { SocketBudget } from '../../../lib/reactor/descriptors.ts';

t.test('N10 the budget of sockets follows what others open and close', async (t) => {
  let now = 0;
  const budget = new SocketBudget(() => now);
  t.ok(budget.fits(0));
  const before = budget.limit;
  t.ok(before > 0 && before < Infinity, `${before} sockets`);
  t.notOk(budget.fits(before), 'a full one is full');
  const files = Array.from({ length: 20 }, () => openSync('/dev/null', 'r'));
  now += 25;
  // Asked at half of the room, where it counts again: 20 descriptors are gone, the sockets are none.
  budget.fits(Math.ceil(before / 2));
  t.ok(budget.limit <= before + Math.ceil(before / 2) - 15, 'less room is left');
  for (const file of files) closeSync(file);
  const tight = budget.limit;
  now += 25;
  t.ok(budget.fits(tight), 'room again');
});
