// Coroutines that differ only in whom they are about, such as those of a server's clients: what they have in common stands
// in one object, so that a client takes no options and no callbacks of its own.

import type { Coroutine } from '../../scheduler/kernel/coroutine.ts';
import type { Co, Operation } from '../../scheduler/kernel/operation.ts';
import { Extras, type Scope, tellError } from '../../scheduler/kernel/scope.ts';
import { reportUncaught } from '../../scheduler/kernel/warnings.ts';

/** What a server has in common for all its handlers; `subject` is the client. */
export interface Supervisor<S> {
  nameOf(subject: S): string;
  /** In the coroutine's last step, before `onError`; it may spawn siblings. */
  onEnd(coroutine: Coroutine<unknown>, subject: S): void;
  /** As the option of `spawn`, but for all: one coroutine is not ended by what it throws, which is reported. */
  onError(error: unknown, subject: S): void;
}

class Supervised<S> extends Extras {
  readonly supervisor: Supervisor<S>;
  readonly subject: S;

  constructor(inherited: Extras | null, supervisor: Supervisor<S>, subject: S) {
    super();
    this.supervisor = supervisor;
    this.subject = subject;
    if (inherited === null) return;
    this.locals = inherited.locals;
    this.context = inherited.context;
  }

  override nameOf(): string {
    return this.supervisor.nameOf(this.subject);
  }

  override onEnd(coroutine: Coroutine<unknown>): void {
    this.supervisor.onEnd(coroutine, this.subject);
  }

  override handles(coroutine: Coroutine<unknown>): boolean {
    try {
      tellError(coroutine, (error) => this.supervisor.onError(error, this.subject));
    } catch (thrown) {
      reportUncaught(`the onError of ${coroutine.name} has thrown`, thrown);
    }
    return true;
  }
}

/** Spawns one of many, whose body is given its subject. */
export function supervise<S>(
  parent: Scope,
  body: (subject: S) => Co<unknown> | Operation<unknown>,
  subject: S,
  supervisor: Supervisor<S>,
): Coroutine<unknown> {
  const coroutine = parent.spawn<unknown>(() => body(subject));
  coroutine.extras = new Supervised(coroutine.extras, supervisor, subject);
  return coroutine;
}

/** The children under a supervisor that live, each with its subject. */
export function supervised<S>(
  parent: Scope,
  supervisor: Supervisor<S>,
): (readonly [coroutine: Coroutine<unknown>, subject: S])[] {
  const found: (readonly [Coroutine<unknown>, S])[] = [];
  for (let child = parent.firstChild; child !== null; child = child.after) {
    const { extras } = child;
    if (extras instanceof Supervised && extras.supervisor === supervisor) {
      found.push([child.owner, extras.subject as S]);
    }
  }
  return found;
}
