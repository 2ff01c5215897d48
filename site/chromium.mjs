/** Which Chromium the pages are opened in. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

const PROGRAMS = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'];

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @returns the path of a Chromium, which $CHROMIUM may name; undefined if none is installed */
export function findChromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const folders = process.env.PATH.split(path.delimiter);
  return PROGRAMS.flatMap((program) => folders.map((folder) => path.join(folder, program))).find(isProgram);
}
