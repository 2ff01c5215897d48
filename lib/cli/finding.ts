/** What `tsmilter doctor` and `tsmilter check` have found, and how it is shown. */
import { jsonLine, type Output, type Style, styled } from './output.js';

/**
 * - `error`: mail cannot reach the filter, or the filter or what it relies on cannot work
 * - `warning`: mail may pass unfiltered, or be deferred, under conditions that will come
 * - `note`: worth knowing
 * - `ok`: examined, and as it should be
 */
export type Level = 'error' | 'warning' | 'note' | 'ok';

export interface Finding {
  readonly level: Level;
  /** What was examined; stable across versions, for programs. */
  readonly code: string;
  /** The file, path or socket that it is about. */
  readonly about: string;
  readonly message: string;
  /** What to do; absent if there is nothing to do. */
  readonly cure?: string;
}

const STYLES: Readonly<Record<Level, Style>> = { error: 'red', warning: 'yellow', note: 'cyan', ok: 'green' };
const LEVELS: readonly Level[] = ['error', 'warning', 'note', 'ok'];

/** Prints each finding with its cure, and how many there are. */
export function printFindings(output: Output, findings: readonly Finding[]): void {
  for (const { level, about, message, cure } of findings) {
    // A message that names a line of the file has the file's name itself.
    const text = message.startsWith(`${about}:`) ? message : `${about}: ${message}`;
    output.print(styled(STYLES[level], level.padEnd(8)), ` ${text}`);
    if (cure !== undefined) output.print('         ', styled('bold', 'cure: '), cure);
  }
  output.print(LEVELS.map((level) => `${countOf(findings, level)} ${level}`).join(', '));
}

/** Prints all of it as one line of JSON. */
export function printJson(output: Output, findings: readonly Finding[]): void {
  output.print(jsonLine({ ok: countOf(findings, 'error') === 0, findings }));
}

export const countOf = (findings: readonly Finding[], level: Level): number =>
  findings.filter((finding) => finding.level === level).length;
