// The append-only file: every command that has changed something, in the form in which clients send them. What is to be
// written gathers as text; one coroutine writes it and, if asked to, has the disk confirm it. All who come while it is
// at that share the next round, so many clients pay for one fsync together (group commit).
//
//   append ──► gathered ──► write ──► fdatasync ──► the batch's latch opens ──► its clients are answered
//               └─ latch ─┘

import { Buffer } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import { Channel, type Co, every, Latch, Mutex, type Operation, select, wait } from 'skein';
import { isSystemError } from './errors.ts';
import type { FileLock } from './lock.ts';
import { bulks } from './reply.ts';
import { type Fsync, settings } from './settings.ts';

/** So much may wait for a slow disk before clients have to. */
const MUCH = 33_554_432;

class AppendOnlyLog {
  /** Held by whoever works with the file itself: the writer, and a rewrite that puts another in its place. */
  readonly file = new Mutex({ name: 'the append-only file' });
  /** Keeps other servers away from the file. */
  lock: FileLock | null = null;
  /** Has a rewrite given up that is under way: it gives the room back that it has taken on the disk. */
  makeRoom: (() => Co<void>) | null = null;
  /** How often something was appended. */
  appends = 0;
  /** Bytes of the file, with those that are still to be written. */
  size = 0;
  #handle: FileHandle | null = null;
  /** What is to be written. */
  #gathered = '';
  /** Opens when that is where it has to be. */
  #batch = new Latch(1, { name: 'a batch of the append-only file' });
  /** The batch that has what was appended last; it may be on its way already. */
  #last = this.#batch;
  /** Wakes the writer. */
  readonly #work = new Channel<void>(1, { name: 'work for the append-only file' });
  /** The database that the last command in the file is about. */
  #selected = -1;
  /** While a transaction is performed: whether its MULTI was written. */
  #transaction: 'none' | 'begun' | 'written' = 'none';
  /** Written, and not confirmed by the disk. */
  #isUnconfirmed = false;

  get isOn(): boolean {
    return this.#handle !== null;
  }

  get isEnding(): boolean {
    return this.#work.isClosed;
  }

  /** Clients that have changed something wait for `committed` before they are answered. */
  get mustWait(): boolean {
    return this.#handle !== null && (settings.fsync === 'always' || this.#gathered.length > MUCH);
  }

  /** Waits until all that was appended is written, and confirmed if the setting is 'always'. */
  committed(): Operation<void> {
    return this.#last.wait();
  }

  /** Appends a command; `raw` is its text, if that is there already. */
  append(database: number, command: readonly string[], raw = ''): void {
    if (this.#handle === null) return;
    this.appends++;
    let text = '';
    if (this.#transaction === 'begun') {
      text = bulks(['MULTI']);
      this.#transaction = 'written';
    }
    if (database !== this.#selected) {
      text += bulks(['SELECT', String(database)]);
      this.#selected = database;
    }
    this.#gather(text + (raw === '' ? bulks(command) : raw));
  }

  /** What is appended until `endTransaction` is loaded as a whole or not at all. */
  beginTransaction(): void {
    this.#transaction = 'begun';
  }

  endTransaction(): void {
    if (this.#transaction === 'written') this.#gather(bulks(['EXEC']));
    this.#transaction = 'none';
  }

  /** Where the next command will stand, which names its database again: what comes from there on stands by itself. */
  mark(): number {
    this.#selected = -1;
    return this.size;
  }

  *open(path: string): Co<void> {
    this.#handle = yield* wait(open(path, 'a+'));
    this.size = (yield* wait(this.#handle.stat())).size;
  }

  /**
   * Goes on in another file, which holds the same and was opened to append; to be called with the `file` held, and
   * nothing being written. Gives the one before.
   */
  replace(handle: FileHandle, size: number): FileHandle {
    const old = this.#handle!;
    this.#handle = handle;
    this.size = size + this.#gathered.length;
    return old;
  }

  /** The file, to be read. */
  get handle(): FileHandle {
    return this.#handle!;
  }

  /** Bytes that the file has. */
  get written(): number {
    return this.size - this.#gathered.length;
  }

  /** Writes, round after round, until `end`. */
  *write(): Co<void> {
    const second = every(1000);
    for (let goesOn = true; goesOn;) {
      const next = yield* select({ work: this.#work.receive(), second });
      goesOn = next.key === 'second' || !this.#work.isClosed;
      using _ = yield* this.file.lock();
      if (this.#gathered !== '') yield* this.#writeBatch(this.#handle!);
      if (this.#isUnconfirmed && settings.fsync !== 'no' && next.key === 'second') yield* this.#confirm();
    }
    if (this.#handle === null) return;
    yield* this.#confirm();
    yield* wait(this.#handle.close());
  }

  /** Has the writer write the rest, and end. */
  end(): void {
    this.#work.close();
  }

  *#writeBatch(handle: FileHandle): Co<void> {
    const bytes = Buffer.from(this.#gathered, 'latin1');
    const batch = this.#batch;
    this.#gathered = '';
    this.#batch = new Latch(1, { name: 'a batch of the append-only file' });
    for (let from = 0; from < bytes.length;) {
      // The one that was under way when the disk was found full; it may have ended since.
      const { makeRoom } = this;
      try {
        from += (yield* wait(handle.write(bytes, from))).bytesWritten;
      } catch (error) {
        if (makeRoom === null || !isSystemError(error)) throw error;
        yield* makeRoom();
      }
    }
    this.#isUnconfirmed = true;
    if (settings.fsync === 'always') yield* this.#confirm();
    batch.countDown();
  }

  *#confirm(): Co<void> {
    this.#isUnconfirmed = false;
    yield* wait(this.#handle!.datasync());
  }

  #gather(text: string): void {
    if (this.#gathered === '' && !this.#work.isClosed) this.#work.trySend();
    this.#last = this.#batch;
    this.#gathered += text;
    this.size += text.length;
  }
}

export const log = new AppendOnlyLog();

export type { Fsync };
