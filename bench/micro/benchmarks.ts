// What is measured, of whom, and what skein means to reach.

/** A line of the table. */
export interface Benchmark {
  /** The name of the program, as every contestant calls it. */
  program: string;
  /** Which of its figures this is. */
  figure: string;
  title: string;
  unit: 'ns' | 'bytes' | 'ms';
  /** What one operation is. */
  what: string;
  /** At most so many times Go's figure. */
  timesGo?: number;
  /** At least so many times faster than Effect. */
  fasterThanEffect?: number;
  /** At most this. */
  atMost?: number;
}

export interface Contestant {
  id: string;
  title: string;
  color: string;
  /** The npm package, if it is one. */
  package?: string;
}

export const contestants: readonly Contestant[] = [
  { id: 'skein', title: 'skein', color: '#e8590c' },
  { id: 'skein-mixed', title: 'skein, mixed', color: '#e8590c' },
  { id: 'go', title: 'Go', color: '#1098ad' },
  { id: 'async', title: 'async/await', color: '#868e96' },
  { id: 'co', title: 'co', color: '#74b816', package: 'co' },
  { id: 'effect', title: 'Effect', color: '#7048e8', package: 'effect' },
  { id: 'effection', title: 'Effection', color: '#d6336c', package: 'effection' },
];

function timed(program: string, title: string, what: string, timesGo?: number): Benchmark {
  return { program, figure: 'cpu', title, unit: 'ns', what, ...(timesGo === undefined ? {} : { timesGo }) };
}

export const benchmarks: readonly Benchmark[] = [
  {
    ...timed('spawn', 'spawn + join', 'start a coroutine with an empty body and wait for its end', 1),
    fasterThanEffect: 20,
  },
  timed(
    'spawn-batch',
    'spawn + join, 1,000 at once',
    'the same, a thousand started before the first is waited for',
    1,
  ),
  timed('switch', 'switch', 'let the other of two coroutines run', 1.7),
  timed('rendezvous', 'rendezvous hop', 'a value through a channel without a buffer', 1.1),
  timed('buffered', 'buffered hop', 'a value through a channel that holds 128', 2),
  timed(
    'select-ready',
    'select of 4, one ready',
    'a value into one of four channels, and a select over all',
    1.5,
  ),
  timed(
    'select-wait',
    'select of 4 that waits',
    'a value to somebody who waits for it in a select over four channels',
    1.8,
  ),
  timed('ring', 'ring of 1,000', 'a value from one coroutine to the next', 0.9),
  timed('chain', 'chain of 10,000', 'make a channel and a coroutine, and pass a value through'),
  timed('sleep-cancel', 'sleep + cancel', 'start a coroutine that sleeps, cancel it, and wait for its end'),
  {
    ...timed(
      'timer-same-turn',
      'timer: arm + cancel',
      'both in one turn, while a million others are pending',
    ),
    atMost: 130,
  },
  {
    ...timed(
      'timer-later',
      'timer: arm, cancel later',
      'in different turns, while a million others are pending',
    ),
    atMost: 250,
  },
  timed('timeout', 'timeout', 'bound an empty body, while a million timers are pending'),
  timed('depth-10', 'switch, 10 calls deep', 'let the other run, inside of ten generators or calls'),
  timed('depth-50', 'switch, 50 calls deep', 'let the other run, inside of fifty generators or calls'),
  {
    program: 'parked',
    figure: 'bytes',
    title: 'a parked coroutine',
    unit: 'bytes',
    what: 'memory of each of a million that wait for the same thing',
    atMost: 500,
  },
  {
    program: 'parked',
    figure: 'life',
    title: 'a million coroutines',
    unit: 'ms',
    what: 'start them, let all of them wait, wake and end all of them',
    atMost: 3000,
  },
  {
    program: 'waiters',
    figure: 'left',
    title: '100,000 waiters leave',
    unit: 'ms',
    what: 'cancel in random order those who wait on one channel, until the channel is empty',
    atMost: 100,
  },
  {
    program: 'waiters',
    figure: 'unwound',
    title: '100,000 waiters end',
    unit: 'ms',
    what: 'the same, until all of them have ended',
    atMost: 500,
  },
];
