/** The terminal: untrusted text is escaped, and colours appear only if the terminal shows them. */
import { styleText } from 'node:util';
import { writeLine } from '../internal/output.js';
import { printable } from '../internal/printable.js';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** A part of a line that stands out. */
export interface Styled {
  readonly style: Style;
  readonly text: string;
}

/**
 * A part of a line. Unprintable characters and line breaks are escaped when it is written, so untrusted text can neither forge a line
 * nor steer the terminal.
 */
export type Part = string | Styled;

/** Where a subcommand writes. */
export interface Output {
  /** Writes a line of the result to stdout. */
  print(...parts: readonly Part[]): void;
  /** Writes lines of this program's own to stdout: help, scripts, records of DNS. */
  printText(text: string): void;
  /** Writes a line about it, which is not part of the result, to stderr. */
  error(...parts: readonly Part[]): void;
  /** Writes lines of this program's own to stderr. */
  errorText(text: string): void;
  /** Shows how much is done, from 0 to 1, by a bar on stderr that the next line replaces; only on a terminal. */
  progress(share: number): void;
}

/** Text that stands out. */
export const styled = (style: Style, text: string): Styled => ({ style, text });

/** A value as a line of JSON in ASCII, which remains JSON when it is printed: there is nothing left to escape. */
export function jsonLine(value: unknown): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, escaped);
}

/** The output of this process. Colours honour NO_COLOR, FORCE_COLOR and TERM; there are none in a file or pipe. */
export function processOutput(): Output {
  return new TerminalOutput(process.stdout, process.stderr);
}

const BAR_WIDTH = 30;

class TerminalOutput implements Output {
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  /** The progress bar is on the screen and must be erased before the next line. */
  #barShown = false;

  constructor(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream) {
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  print(...parts: readonly Part[]): void {
    this.#write(this.#stdout, parts);
  }

  error(...parts: readonly Part[]): void {
    this.#write(this.#stderr, parts);
  }

  printText(text: string): void {
    this.#eraseBar();
    writeLine(this.#stdout, text);
  }

  errorText(text: string): void {
    this.#eraseBar();
    writeLine(this.#stderr, text);
  }

  progress(share: number): void {
    if (!this.#stderr.isTTY) return;
    this.#eraseBar();
    if (share >= 1) return;
    const bar = '#'.repeat(Math.floor(share * BAR_WIDTH)).padEnd(BAR_WIDTH);
    this.#stderr.write(`[${bar}] ${Math.floor(share * 100)} %`);
    this.#barShown = true;
  }

  #write(stream: NodeJS.WriteStream, parts: readonly Part[]): void {
    this.#eraseBar();
    if (!hasColours(stream)) {
      writeLine(stream, parts.map((part) => printable(typeof part === 'string' ? part : part.text)).join(''));
      return;
    }
    // writeLine would escape the sequences that switch colours on and off.
    stream.write(`${parts.map(coloured).join('')}\n`);
  }

  #eraseBar(): void {
    if (!this.#barShown) return;
    this.#stderr.clearLine(0);
    this.#stderr.cursorTo(0);
    this.#barShown = false;
  }
}

/** getColorDepth honours NO_COLOR, NODE_DISABLE_COLORS, FORCE_COLOR and TERM. */
function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && stream.getColorDepth() > 1;
}

function coloured(part: Part): string {
  return typeof part === 'string' ? printable(part) : styleText(part.style, printable(part.text));
}
