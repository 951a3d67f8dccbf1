import type { Program } from '../meter.ts';
import { channels } from './channels.ts';
import { coroutines } from './coroutines.ts';
import { crowds } from './crowds.ts';
import { timers } from './timers.ts';

export const programs: Record<string, Program> = { ...coroutines, ...channels, ...timers, ...crowds };
