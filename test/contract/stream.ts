// What every byte stream must do, whatever carries it. The eleven subjects are those in which Go tries each
// implementation of its `net.Conn` (golang.org/x/net/nettest); here is what each means under skein's rules, where a
// deadline is `timeout`, `idleTimeout` or the cancellation of a scope, and one coroutine reads at a time.
//
//   BasicIO            8 MiB go there and come back as they were; each direction ends by itself (N4, N5)
//   PingPong           two that take turns wait for nothing but each other
//   RacyRead           of many readers one reads, the others get a BusyError (N2); with a mutex nobody does;
//                      whatever deadlines cut off, no byte is lost or comes twice (N8, C6)
//   RacyWrite          many writers, with deadlines: a write arrives whole, or not at all and then it says so (N8)
//   ReadTimeout        a read that was cut off has taken nothing; an idle stream is closed (T2)
//   WriteTimeout       a write that was cut off: `accepted` tells truly what arrives, and the caller's buffer is
//                      its own again (N3, N8); a stream whose peer takes nothing is closed when idle
//   PastTimeout        a deadline that has passed fires at once, and nothing was done (T1)
//   PresentTimeout     cancelling ends a read and a write that wait
//   FutureTimeout      a deadline to come ends both, not early (T1)
//   CloseTimeout       close and reset while both directions are busy: nobody waits on, nothing is left (N6, N7)
//   ConcurrentMethods  anything may be called at any time; it all comes out even
//
// A new transport is one more line in stream.test.ts, or in stream-duplex.test.ts, which has those over streams of
// Node. Whatever is left of a subject fails it.

import t from 'tap';
import { play, type Subject, type Transport } from '../support/connection/streams.ts';
import { closings } from './stream-closing.ts';
import {
  futureTimeout,
  idleRead,
  idleWrite,
  pastTimeout,
  presentTimeout,
  readTimeout,
  writeTimeout,
} from './stream-deadlines.ts';
import {
  basicIO,
  concurrentMethods,
  pingPong,
  racyRead,
  racyReadInTurn,
  racyWrite,
} from './stream-transfers.ts';

const subjects: Readonly<Record<string, Subject>> = {
  'BasicIO: 8 MiB go there and back': basicIO,
  'PingPong: two take turns': pingPong,
  'RacyRead: of many readers one reads': racyRead,
  'RacyRead: many readers in turn': racyReadInTurn,
  'RacyWrite: many writers, and no two interleave': racyWrite,
  'ReadTimeout: a read that was cut off has taken nothing': readTimeout,
  'ReadTimeout: an idle stream is closed': idleRead,
  'WriteTimeout: a write that was cut off says truly what it has accepted': writeTimeout,
  'WriteTimeout: an idle stream whose peer takes nothing is closed': idleWrite,
  'PastTimeout: a deadline that has passed fires at once': pastTimeout,
  'PresentTimeout: cancelling ends a read and a write': presentTimeout,
  'FutureTimeout: a deadline ends both, and not early': futureTimeout,
  ...closings,
  'ConcurrentMethods: anything at any time': concurrentMethods,
};

/** Another seed each time; set SKEIN_SEED to the one in the name of a test that failed. */
const seed = Number(process.env['SKEIN_SEED'] ?? Date.now() % 2 ** 31);

/** Tries all subjects over a transport. */
export function stream(transport: Transport): void {
  t.test(`${transport.name} (seed ${seed})`, async (t) => {
    for (const [name, subject] of Object.entries(subjects)) {
      await t.test(name, (t) => play(t, transport, seed, subject));
    }
  });
}
