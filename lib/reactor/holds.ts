// Keeps the process alive while somebody waits for a socket. The sockets themselves never do (R8), so a
// process in which all wait for nothing ends instead of hanging.

/** A timer's longest delay; it only stands for the waiting. */
const FOREVER = 2_147_483_647;

export class Holds {
  #count = 0;
  #timer: NodeJS.Timeout | null = null;

  add(): void {
    if (this.#count++ > 0) return;
    if (this.#timer === null) this.#timer = setInterval(() => {}, FOREVER);
    else this.#timer.ref();
  }

  remove(): void {
    if (--this.#count === 0) this.#timer?.unref();
  }
}
