// What has come from a stream and was not taken. Invariant (R2): the bytes come before the end or the error that
// followed them, and these come again and again.

export class Received {
  /** Follows the bytes. */
  error: Error | undefined;
  /** Follows them, unless there is an error. */
  hasEnded = false;
  #chunk: Buffer | null = null;
  /** The chunks behind it, of which there are rarely any. */
  readonly #more: Buffer[] = [];

  get isReadable(): boolean {
    return this.#chunk !== null || this.hasEnded || this.error !== undefined;
  }

  take(): Buffer | null | undefined {
    const chunk = this.#chunk;
    if (chunk !== null) {
      this.#chunk = this.#more.shift() ?? null;
      return chunk;
    }
    if (this.error !== undefined) throw this.error;
    return this.hasEnded ? null : undefined;
  }

  takeInto(buffer: Uint8Array): number | undefined {
    const chunk = this.#chunk;
    if (chunk !== null && chunk.byteLength > buffer.byteLength) {
      buffer.set(chunk.subarray(0, buffer.byteLength));
      this.#chunk = chunk.subarray(buffer.byteLength);
      return buffer.byteLength;
    }
    const data = this.take();
    if (!data) return data === null ? 0 : undefined;
    buffer.set(data);
    return data.byteLength;
  }

  add(chunk: Buffer): void {
    if (this.#chunk === null) this.#chunk = chunk;
    else this.#more.push(chunk);
  }

  /** Gives up the bytes: all there are, as one. */
  clear(): Buffer | null {
    const chunk = this.#chunk;
    const all = chunk !== null && this.#more.length > 0 ? Buffer.concat([chunk, ...this.#more]) : chunk;
    this.#chunk = null;
    this.#more.length = 0;
    return all;
  }
}
