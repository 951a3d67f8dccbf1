// A chat: rooms, names, and a bound on how far a reader may fall behind.
//
//   npx tsx --conditions=skein-source samples/chat.ts        then, in several terminals:   socat - TCP:127.0.0.1:9981
//
// Notice that two coroutines serve a client, with a bounded channel between them: one obeys its lines, the other
// writes what the rooms have to say to it. Whoever speaks never waits for whoever listens. A listener whose channel
// is full has its coroutine cancelled wherever that waits, and the rest is told why. Names and rooms need no lock:
// nothing else runs between two `yield*`.

import {
  Channel,
  closed,
  type Connection,
  type Coroutine,
  current,
  type Latch,
  LimitError,
  pause,
  run,
  select,
  serve,
  spawn,
  timeout,
  UnexpectedEofError,
} from 'skein';
import { whereToListen } from './environment.ts';

/** Lines that a client may be behind; what the kernel holds comes on top. */
const BEHIND = 256;
const LONGEST_LINE = 500; // bytes
const HELP = '/nick NAME, /who, /join ROOM, /quit; anything else is said to the room';

const names = new Map<string, Member>();
const rooms = new Map<string, Set<Member>>();
let guests = 0;

class Member {
  name = '';
  room = '';
  readonly lines = new Channel<string>(BEHIND);
  readonly #client: Coroutine<unknown>;

  constructor(client: Coroutine<unknown>) {
    this.#client = client;
    do this.name = `guest${++guests}`;
    while (names.has(this.name));
    names.set(this.name, this);
  }

  tell(line: string) {
    if (this.lines.isClosed || this.lines.trySend(`${line}\n`)) return;
    this.leave(`was dropped: it did not read the last ${BEHIND} lines`);
    this.#client.cancel('too slow');
  }

  /** Says something to everybody else in the room. */
  say(line: string) {
    for (const other of rooms.get(this.room) ?? []) if (other !== this) other.tell(line);
  }

  join(room: string) {
    this.#goAway(`went to ${room}`);
    this.room = room;
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room)!.add(this);
    const others = rooms.get(room)!.size - 1;
    this.tell(`* you are ${this.name}, in ${room} with ${others} other${others === 1 ? '' : 's'}`);
    this.say(`* ${this.name} came`);
  }

  rename(name: string) {
    names.delete(this.name);
    names.set(name, this);
    this.say(`* ${this.name} is now ${name}`);
    this.name = name;
    this.tell(`* you are ${name}`);
  }

  /** For good; nothing can be told to it any more. */
  leave(why: string) {
    if (this.lines.isClosed) return;
    this.lines.close();
    names.delete(this.name);
    this.#goAway(why);
  }

  #goAway(why: string) {
    const room = rooms.get(this.room);
    room?.delete(this);
    if (room?.size === 0) rooms.delete(this.room);
    this.say(`* ${this.name} ${why}`);
  }
}

function* chat(conn: Connection, stopping: Latch) {
  const member = new Member(current());
  const printer = spawn(function* print() {
    for (let line; (line = yield* member.lines.receive()) !== closed;) yield* conn.write(line);
  });
  try {
    member.tell(`* ${HELP}`);
    member.join('lobby');
    yield* listenTo(member, conn, stopping);
  } finally {
    member.leave('left');
  }
  // What it was told last is still written, unless it does not read.
  yield* timeout(5_000, () => printer.join());
}

function* listenTo(member: Member, conn: Connection, stopping: Latch) {
  try {
    for (;;) {
      const next = yield* select({ line: conn.readLine({ limit: LONGEST_LINE }), stop: stopping.wait() });
      if (next.key === 'stop') member.tell('* the server ends');
      if (next.key === 'stop' || next.value === null || !obey(member, next.value)) return;
      // A thousand lines may have come at once: those who read them get their turn after each.
      yield* pause();
    }
  } catch (error) {
    if (error instanceof LimitError) member.tell(`* a line has at most ${LONGEST_LINE} bytes`);
    // The last line may end with the stream alone; what has come of it is still there.
    else if (error instanceof UnexpectedEofError) obey(member, String(yield* conn.peek(LONGEST_LINE)));
    else throw error;
  }
}

/** Does what a line says; false if that is to end. */
function obey(member: Member, line: string): boolean {
  const [, command, rest = ''] = /^\/(\w+) *(.*)$/.exec(line) ?? [];
  if (command === undefined) {
    // What steers a terminal is not passed on to those of others.
    if (line !== '') member.say(`${member.name}: ${line.replace(/\p{Cc}/gu, '')}`);
  } else if (command === 'quit') {
    member.tell('* bye');
    return false;
  } else if (command === 'who') {
    const who = [...rooms.get(member.room)!].map(({ name }) => name);
    member.tell(`* in ${member.room}: ${who.slice(0, 50).join(', ')}${who.length > 50 ? ', …' : ''}`);
  } else if (command !== 'nick' && command !== 'join') {
    member.tell(`* there is no /${command}: ${HELP}`);
  } else if (!/^[\w-]{1,20}$/.test(rest)) {
    member.tell('* a name has 1 to 20 letters, digits, _ and -');
  } else if (command === 'join') {
    if (rest !== member.room) member.join(rest);
  } else if (names.has(rest)) {
    member.tell(`* ${rest} is taken`);
  } else {
    member.rename(rest);
  }
  return true;
}

await run(() =>
  serve(whereToListen(), chat, {
    signals: true,
    onListening: (address) => console.log(`chat listening on ${address}; try: socat - TCP:${address}`),
    onError: (error, conn) => console.error(`${conn?.remoteAddress ?? 'accepting'}: ${String(error)}`),
  }),
);
