/** Makes names durable. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Writes a directory to the disk. Without it, a crash may lose the name of a new or renamed file whose content is safe. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
