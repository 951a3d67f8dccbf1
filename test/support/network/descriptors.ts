import { existsSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * The sockets, pipes and event queues of this process, such as `12 socket:[3456]`; none where the system does not tell.
 * Files are not among them: Node leaves those open that a thread was loading when it was terminated.
 */
export function descriptors(): string[] {
  const folder = '/proc/self/fd';
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((fd) => `${fd} ${kindOf(`${folder}/${fd}`)}`)
    .filter((descriptor) => /^\d+ (?:socket|pipe|anon_inode):/.test(descriptor));
}

export function openDescriptors(): number {
  return descriptors().length;
}

function kindOf(descriptor: string): string {
  try {
    return readlinkSync(descriptor);
  } catch {
    // That of the folder itself is closed by now.
    return '';
  }
}
