#!/usr/bin/env node
/** The program `tsmilter`: `npx tsmilter --help`. */
import { processOutput } from './output.js';
import { runProgram } from './program.js';

void runProgram(process.argv.slice(2), processOutput()).then((code) => {
  // At once: a timer or connection that a filter's module has left open would keep the process alive.
  process.exit(code);
});
