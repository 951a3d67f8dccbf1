import { existsSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * The sockets, pipes and event queues of this process; 0 where the system does not tell. Files are not counted: Node's
 * loader has some open for a while, and leaves open those that a thread was loading when it was terminated.
 */
export function openDescriptors(): number {
  const folder = '/proc/self/fd';
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).filter((fd) => /^(?:socket|pipe|anon_inode):/.test(kindOf(`${folder}/${fd}`)))
    .length;
}

function kindOf(descriptor: string): string {
  try {
    return readlinkSync(descriptor);
  } catch {
    // That of the folder itself is closed by now.
    return '';
  }
}
