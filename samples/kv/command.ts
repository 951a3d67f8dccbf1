// What a command is, and the table in which it is found by the name that a client has sent: in capitals, in small
// letters, or, by a detour, in any mixture of them.

import type { Client } from './clients.ts';

/** Performs a command and gives its reply. The arguments begin with its name, and are the parser's own. */
export type Perform = (client: Client, args: readonly string[]) => string;

/**
 * What a command is like: it changes data (`write`) or only reads (`read`); its keys are its first argument (`key`),
 * all of them (`keys`), every other one (`pairs`), or the first two (`two`); it is performed even while a transaction
 * is put together (`now`), or by a subscriber (`subscriber`).
 */
export type Trait = 'write' | 'read' | 'key' | 'keys' | 'pairs' | 'two' | 'now' | 'subscriber' | 'pubsub';

export interface Command {
  readonly name: string;
  /** How many arguments it takes, its name being one; -n for n or more. */
  readonly arity: number;
  readonly traits: readonly Trait[];
  readonly isImmediate: boolean;
  readonly isForSubscribers: boolean;
  readonly perform: Perform;
}

/** Traits are given in one text: 'write key'. */
export function command(name: string, arity: number, traits: string, perform: Perform): Command {
  const list = traits.split(' ').filter((trait) => trait !== '') as Trait[];
  return {
    name,
    arity,
    traits: list,
    isImmediate: list.includes('now'),
    isForSubscribers: list.includes('subscriber'),
    perform,
  };
}

const table = new Map<string, Command>();

export function enter(commands: readonly Command[]): void {
  for (const one of commands) {
    table.set(one.name, one);
    table.set(one.name.toUpperCase(), one);
  }
}

export function findCommand(name: string): Command | undefined {
  return table.get(name) ?? (name.length <= 32 ? table.get(name.toLowerCase()) : undefined);
}

export function allCommands(): Command[] {
  return [...new Set(table.values())];
}
