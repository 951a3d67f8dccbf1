// What two entries of the packed package export by one name is one thing, whichever entry is loaded first.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const { exports } = JSON.parse(readFileSync('node_modules/skein/package.json', 'utf8'));
const entries = Object.keys(exports).filter((entry) => exports[entry].default !== undefined);
const found = new Map();
let shared = 0;
for (const entry of entries) {
  const module = await import(entry.replace('.', 'skein'));
  for (const [name, value] of Object.entries(module)) {
    if (name === 'default' || name === 'module.exports') continue;
    if (found.has(name)) shared++;
    else found.set(name, value);
    assert.equal(value, found.get(name), `${name} of ${entry}`);
  }
}
const [network, scheduler] = await Promise.all([import('skein'), import('skein/scheduler')]);
for (const name of ['Channel', 'CancelledError', 'current']) {
  assert.equal(typeof network[name], 'function');
  assert.equal(network[name], scheduler[name]);
}
// By a private field, which an object of another copy of the class would not have.
scheduler.run(function* () {
  const channel = new network.Channel(1);
  yield* scheduler.select({ sent: channel.send(1) });
  assert.equal(network.current(), scheduler.current());
});
assert.ok(shared > 10);
console.log('one copy');
