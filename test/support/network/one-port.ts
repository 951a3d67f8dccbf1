// Dials each address that it is given, where the system can choose but few ports for that: prints how often it was
// connected, and the codes of what went wrong.

import { dial, run } from 'skein';

await run(function* () {
  for (const address of process.argv.slice(2)) {
    const codes = new Set<string>();
    let connected = 0;
    for (let count = 0; count < 50; count++) {
      try {
        (yield* dial(address)).reset();
        connected++;
      } catch (error) {
        codes.add((error as NodeJS.ErrnoException).code!);
      }
    }
    console.log(address, connected, ...codes);
  }
});
