// What the append-only file is told of a command, if not the command itself: something that gives the same whenever it
// is performed. Times become absolute, what chance has picked is named, what was added to a fraction becomes its sum.

import { log } from './append-only.ts';

let instead: (readonly string[])[] | null = null;

/** Has these commands written down in place of the running one; none, if that is to leave no trace by itself. */
export function writeDown(...commands: (readonly string[])[]): void {
  instead = instead === null ? commands : [...instead, ...commands];
}

/** The command that was running has ended: if it has changed anything, that is appended. `raw` is how it was sent. */
export function writeOut(
  database: number,
  command: readonly string[] | null,
  hasChanged: boolean,
  raw = '',
): void {
  const commands = instead;
  instead = null;
  if (!hasChanged) return;
  if (commands !== null) for (const one of commands) log.append(database, one);
  else if (command !== null) log.append(database, command, raw);
}
