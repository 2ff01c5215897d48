/** Node's own `process`. Jest gives tests a copy, which hears of no warning and no worker thread. */
import { runInThisContext } from 'node:vm';

export const nodeProcess: NodeJS.Process = runInThisContext('process');
