/** Prints texts side by side, or one after another if the terminal is narrow. */

/** A text with a title. */
export interface Column {
  readonly title: string;
  readonly lines: readonly string[];
}

const GAP = ' │ ';
/** A narrower column would break most lines of a message. */
const MIN_COLUMN_WIDTH = 36;

/** The terminal's width; if the output is not a terminal, the environment variable COLUMNS. */
function terminalWidth(): number {
  return process.stdout.columns ?? (Number(process.env.COLUMNS) || 80);
}

/** Replaces control characters, because a message could contain commands for the terminal. */
const printable = (line: string): string => line.replaceAll('\t', '    ').replace(/\p{Cc}/gu, '?');

/** Breaks a line into pieces of at most `width` characters and indents the continuation lines. */
function broken(line: string, width: number): string[] {
  const pieces: string[] = [];
  let rest = printable(line);
  while (rest.length > width) {
    const blank = rest.lastIndexOf(' ', width);
    const end = blank > width / 2 ? blank : width;
    pieces.push(rest.slice(0, end));
    rest = `    ${rest.slice(end).trimStart()}`;
  }
  return [...pieces, rest];
}

function longest({ title, lines }: Column): number {
  return Math.max(title.length, ...lines.map((line) => line.length));
}

/** Distributes a width: what a column does not need of its share is left to the others. */
function widthsFor(columns: readonly Column[], total: number): number[] {
  const widths = columns.map(() => 0);
  let left = total;
  const order = columns.map((_, index) => index).sort((a, b) => need(a) - need(b));
  function need(index: number): number {
    return longest(columns[index] as Column);
  }
  for (const [done, index] of order.entries()) {
    widths[index] = Math.min(need(index), Math.floor(left / (columns.length - done)));
    left -= widths[index];
  }
  return widths;
}

function sideBySide(columns: readonly Column[], width: number): string[] {
  const widths = widthsFor(columns, width - GAP.length * (columns.length - 1));
  const cells = columns.map(({ title, lines }, index) => [
    title,
    '─'.repeat(widths[index] as number),
    ...lines.flatMap((line) => broken(line, widths[index] as number)),
  ]);
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, row) =>
    cells
      .map((cell, index) => (cell[row] ?? '').padEnd(widths[index] as number))
      .join(GAP)
      .trimEnd(),
  );
}

function oneAfterAnother(columns: readonly Column[]): string[] {
  return columns.flatMap(({ title, lines }) => [
    `--- ${title}`,
    ...lines.map((line) => `    ${printable(line)}`.trimEnd()),
    '',
  ]);
}

/** Prints the columns. */
export function printColumns(columns: readonly Column[], width = terminalWidth()): void {
  const wide = width >= MIN_COLUMN_WIDTH * columns.length + GAP.length * (columns.length - 1);
  for (const line of wide ? sideBySide(columns, width) : oneAfterAnother(columns)) console.log(line);
}

/** Prints a heading. */
export function printTitle(title: string): void {
  console.log(`\n${title}\n${'='.repeat(title.length)}\n`);
}
