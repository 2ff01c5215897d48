#!/usr/bin/env node
/** The program `tsmilter`: `npx tsmilter --help`. */
import { EXIT } from './command.js';
import { processOutput } from './output.js';
import { runProgram } from './program.js';

const output = processOutput();
let isDone = false;
let reason = 'the process was ended by a module, or an error that nothing caught';

process.once('beforeExit', () => {
  reason = 'nothing is left that could go on, so a module waits for what never comes';
});
process.once('exit', () => {
  if (isDone) return;
  output.error(`tsmilter: ended without a result: ${reason}`);
  process.exitCode = EXIT.failed; // or a filter that ends the process would pass for one that does as expected
});

void runProgram(process.argv.slice(2), output).then((code) => {
  isDone = true;
  // At once: a timer or connection that a filter's module has left open would keep the process alive.
  process.exit(code);
});
