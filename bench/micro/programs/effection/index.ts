import type { Program } from '../meter.ts';
import { queues } from './queues.ts';
import { tasks } from './tasks.ts';

export const programs: Record<string, Program> = { ...tasks, ...queues };
