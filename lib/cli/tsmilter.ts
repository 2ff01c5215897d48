#!/usr/bin/env node
/** The program `tsmilter`: `npx tsmilter --help`. */
import { processOutput } from './output.js';
import { runProgram } from './program.js';

void runProgram(process.argv.slice(2), processOutput()).then((code) => {
  process.exitCode = code;
});
