import type { Program } from '../meter.ts';
import { crowds } from './crowds.ts';
import { fibers } from './fibers.ts';
import { queues } from './queues.ts';

export const programs: Record<string, Program> = { ...fibers, ...queues, ...crowds };
