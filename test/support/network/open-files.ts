import { readdirSync } from 'node:fs';

/** How many descriptors this process has open; 0 where nobody knows. */
export function openFiles(): number {
  try {
    return readdirSync('/dev/fd').length;
  } catch {
    return 0;
  }
}
