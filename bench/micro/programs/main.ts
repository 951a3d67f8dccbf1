// Runs one program of one contestant in this process and prints what it found:
// `node main.js <contestant> <program> [mixed]`.

import { Meter, type Program } from './meter.ts';

const [contestant = '', name = '', warmUp] = process.argv.slice(2);
const { programs } = (await import(`./${contestant}/index.js`)) as { programs: Record<string, Program> };
const program = programs[name];
if (program === undefined) {
  console.log('null');
  process.exit();
}
if (warmUp === 'mixed') {
  const { useEverything } = await import('./skein/mixed.ts');
  await useEverything();
}
const meter = new Meter();
const figures = (await program(meter)) ?? meter.figures();
console.log(JSON.stringify(figures));
// A million timers may still be pending.
process.exit();
