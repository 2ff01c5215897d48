#!/usr/bin/env node
/** The program `tsmilter`: `npx tsmilter key generate --domain example.com --selector 2026`. */
import { writeLine } from '../internal/output.js';
import { runCommand } from './run-command.js';

const output = {
  print: (line: string) => writeLine(process.stdout, line),
  error: (line: string) => writeLine(process.stderr, line),
};

void runCommand(process.argv.slice(2), output).then((code) => {
  process.exitCode = code;
});
