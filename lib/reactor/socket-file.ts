// The file of a Unix listener. Closing the listener removes it, and nothing else: by then a successor's socket may
// stand at the path, and after `chdir` a relative one leads elsewhere. So the folder is looked up when it is bound, and
// what stands there is compared before it is removed. That comes before the descriptor is closed, while nobody else can
// have the number of its inode.
//
// libuv removes by itself what stands at the path it has bound, whatever that is. So with it the file is born under a name
// that nobody else has, and then put in its place; the name is no more when libuv looks for it.
//
//   bind ──► folder/.x8Jq… ── claim: symlink folder/app.sock ─► .x8Jq… ── rename over it ──► folder/app.sock
//                                     └── something is there: EADDRINUSE

import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { builtin } from './builtin.ts';

const { lstatSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, unlinkSync } =
  builtin('node:fs');

/** Room in `sun_path` of sockaddr_un, without the closing zero: 108 bytes on Linux, 104 elsewhere. */
export const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** Bytes of a name that nobody else will think of. */
const FEWEST = 8;
const MOST = 17;

export class SocketFile {
  readonly #path: Buffer;
  readonly #dev: bigint;
  readonly #ino: bigint;

  /** What stands at `born` now, which belongs to `path`. */
  constructor(path: Buffer, born = path) {
    const { dev, ino } = lstatSync(born, { bigint: true });
    this.#path = path;
    this.#dev = dev;
    this.#ino = ino;
  }

  /** What was bound at a path just now; null if that is not to be found out. */
  static at(path: string): SocketFile | null {
    try {
      const { folder, name } = split(path);
      return new SocketFile(within(realpathSync.native(folder, 'buffer'), name));
    } catch {
      return null;
    }
  }

  /** Removes it, unless something else stands there. */
  remove(): void {
    try {
      const { dev, ino } = lstatSync(this.#path, { bigint: true });
      if (dev === this.#dev && ino === this.#ino) unlinkSync(this.#path);
    } catch {
      // Somebody else has removed it.
    }
  }
}

/** A socket's file under the name that it is born with. */
export class NewSocketFile {
  /** What to bind: short enough, as the path itself is. */
  readonly path: string;
  readonly #born: Buffer;
  readonly #final: Buffer;
  readonly #name = `.${builtin('node:crypto').randomBytes(12).toString('base64url')}`;
  /** A folder that holds a short way to a long one; null where there is room for a name. */
  readonly #detour: string | null = null;

  /** @throws what the system says of the folder */
  constructor(path: string) {
    const { folder, name } = split(path);
    const real = realpathSync.native(folder, 'buffer');
    const room = LONGEST_PATH - (folder === '.' ? 0 : Buffer.byteLength(folder));
    if (room < FEWEST) {
      this.#detour = mkdtempSync(join(tmpdir(), 'skein-'));
      symlinkSync(real, join(this.#detour, 'to'));
      this.path = join(this.#detour, 'to', this.#name);
    } else {
      this.#name = this.#name.slice(0, Math.min(room, MOST));
      this.path = folder === '.' ? this.#name : folder + this.#name;
    }
    this.#born = within(real, this.#name);
    this.#final = within(real, name);
  }

  /**
   * It is bound: puts it in its place.
   *
   * @throws what the system says, EEXIST if something stands there
   */
  place(): SocketFile {
    const file = new SocketFile(this.#final, this.#born);
    symlinkSync(this.#name, this.#final);
    try {
      renameSync(this.#born, this.#final);
    } catch (error) {
      unlinkSync(this.#final);
      throw error;
    }
    return file;
  }

  /** It is in its place, or never will be. */
  forget(): void {
    if (this.#detour !== null) rmSync(this.#detour, { recursive: true, force: true });
  }
}

/** The folder, with its slash, and what follows. */
function split(path: string): { folder: string; name: string } {
  const end = path.lastIndexOf('/') + 1;
  return { folder: path.slice(0, end) || '.', name: path.slice(end) };
}

function within(folder: Buffer, name: string): Buffer {
  return Buffer.concat([folder, Buffer.from(`/${name}`)]);
}
