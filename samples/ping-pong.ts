// Two players, one ball, and a referee with a watch.
//
//   npx tsx --conditions=skein-source samples/ping-pong.ts        (a game takes 1 s; Ctrl-C ends it earlier)
//
// Notice that the ball needs no lock: a channel hands it over, and only who has received it has it. The
// referee waits for three things at once, and the first of them to happen is the one that counts. Nobody
// has to tell the players that the game is over: they are daemons of a scope that ends with the referee.

import { after, Channel, closed, run, scope, select, sleep } from 'skein';
import { whole } from './environment.ts';

const GAME = whole('GAME', 1_000); // milliseconds

interface Ball {
  hits: number;
}

const left = new Channel<Ball>(0, { name: 'left' });
const right = new Channel<Ball>(0, { name: 'right' });
const hits = new Channel<string>(0, { name: 'hits' });
const interruption = new Channel<never>();
process.once('SIGINT', () => interruption.close());

function* player(name: string, mine: Channel<Ball>, theirs: Channel<Ball>) {
  for (let ball; (ball = yield* mine.receive()) !== closed;) {
    ball.hits++;
    yield* hits.send(`${name} ${ball.hits}`);
    yield* sleep(50);
    yield* theirs.send(ball);
  }
}

function* referee(milliseconds: number) {
  const timeUp = after(milliseconds);
  for (;;) {
    const news = yield* select({ hit: hits.receive(), timeUp, interrupted: interruption.receive() });
    if (news.key !== 'hit') return news.key;
    console.log(news.value);
  }
}

const end = await run(() =>
  scope(function* (game) {
    game.spawn(() => player('ping', left, right), { name: 'ping', daemon: true });
    game.spawn(() => player('pong', right, left), { name: 'pong', daemon: true });
    yield* left.send({ hits: 0 });
    return yield* referee(GAME);
  }),
);
console.log(end === 'timeUp' ? 'the whistle: time is up' : 'the whistle: interrupted');
