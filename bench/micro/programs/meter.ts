// How every JavaScript program is timed; go/meter.go does the same. A program asks `next` how many
// operations to perform until it says 0. The first samples warm up and find the size of the others;
// of those that count, the median is the figure. Processor time and wall time are both taken.

import { median } from '../../shared/median.ts';

// In milliseconds of processor time: the compiler has a thread of its own, which a busy machine may hold
// up for long.
/** What a sample should take. */
const SAMPLE = 40;
/** What the samples take in all that do not count. */
const WARM_UP = 300;
/** A shorter sample says little about how large the next one should be. */
const TOO_SHORT = 8;
/** How many samples count. */
const SAMPLES = 5;
/** Milliseconds in all, after which no further sample is taken if there is one. */
const PATIENCE = 3000;

/** What a program found: nanoseconds per operation, or figures of its own. */
export type Figures = Record<string, number>;

/** One of a contestant's programs; what has no loop to be timed returns figures of its own. */
export type Program = (meter: Meter) => Promise<Figures | void>;

export class Meter {
  /** Nanoseconds per operation, a sample each. */
  readonly cpu: number[] = [];
  readonly wall: number[] = [];
  #count = 0;
  #isCounting = false;
  #warmUp = 0;
  #began = 0;
  #startCpu = process.cpuUsage();
  #startWall = 0;

  /**
   * Ends the running sample and starts another.
   *
   * @returns the operations to perform, a multiple of `grain`; 0 when there were enough samples
   */
  next(grain = 1): number {
    const wall = performance.now() - this.#startWall;
    const { user, system } = process.cpuUsage(this.#startCpu);
    if (this.#count === 0) {
      this.#began = performance.now();
      this.#count = grain;
    } else {
      this.#take(wall, (user + system) / 1000, grain);
    }
    if (this.#isDone()) return 0;
    this.#startCpu = process.cpuUsage();
    this.#startWall = performance.now();
    return this.#count;
  }

  figures(): Figures {
    return { cpu: median(this.cpu), wall: median(this.wall) };
  }

  #take(wall: number, cpu: number, grain: number): void {
    if (this.#isCounting) {
      this.cpu.push((cpu * 1e6) / this.#count);
      this.wall.push((wall * 1e6) / this.#count);
      return;
    }
    this.#warmUp += cpu;
    if (cpu < TOO_SHORT) {
      this.#count *= 2;
      return;
    }
    this.#count = grain * Math.max(1, Math.round((this.#count * SAMPLE) / cpu / grain));
    this.#isCounting = this.#warmUp >= WARM_UP;
  }

  #isDone(): boolean {
    if (this.cpu.length >= SAMPLES) return true;
    return this.cpu.length > 0 && performance.now() - this.#began > PATIENCE;
  }
}
