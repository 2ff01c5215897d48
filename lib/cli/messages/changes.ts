/** Shows what a filter has changed, as a diff of the envelope, the headers and the body. */
import { structuredPatch } from 'diff';
import { decodeBytes } from '../../internal/bytes.js';
import type { TestMessage } from '../../testing/simulator/test-message.js';
import { type Output, type Style, styled } from '../output.js';

/** Above this many bytes a body is only measured. */
const MAX_BODY = 1024 * 1024;
/** A diff with more changes than this is not worth reading, and takes time in proportion to their square. */
const MAX_EDITS = 2_000;
const CONTEXT = 2;

const STYLES: Readonly<Record<string, Style>> = { '-': 'red', '+': 'green' };

/** Prints the differences between a message before and after. Nothing is printed for a part that did not change. */
export function printChanges(output: Output, before: TestMessage, after: TestMessage): void {
  printPart(output, 'envelope', envelopeLines(before), envelopeLines(after));
  printPart(output, 'headers', headerLines(before), headerLines(after));
  if (!before.body.equals(after.body)) printBody(output, before.body, after.body);
}

function envelopeLines({ sender, senderParams, recipients }: TestMessage): string[] {
  return [
    `MAIL FROM:${[sender, ...senderParams].join(' ')}`,
    ...recipients.map(({ address, params }) => `RCPT TO:${[address, ...params].join(' ')}`),
  ];
}

function headerLines({ headers }: TestMessage): string[] {
  return headers.flatMap(([name, value]) => `${name}: ${value}`.split('\n'));
}

function printBody(output: Output, before: Buffer, after: Buffer): void {
  if (Math.max(before.length, after.length) > MAX_BODY) printSizes(output, before, after);
  else printPart(output, 'body', bodyLines(before), bodyLines(after)) || printSizes(output, before, after);
}

function printSizes(output: Output, before: Buffer, after: Buffer): void {
  output.print(styled('bold', 'body'));
  output.print(styled('red', `-${before.length} bytes`));
  output.print(styled('green', `+${after.length} bytes`));
}

const bodyLines = (body: Buffer): string[] => decodeBytes(body).replace(/\r\n$/, '').split('\r\n');

/** @returns false if there are too many differences */
function printPart(
  output: Output,
  title: string,
  before: readonly string[],
  after: readonly string[],
): boolean {
  const lines = (part: readonly string[]) => part.map((line) => `${line}\n`).join('');
  const options = { context: CONTEXT, maxEditLength: MAX_EDITS };
  const patch = structuredPatch('', '', lines(before), lines(after), undefined, undefined, options);
  if (!patch) return false;
  if (patch.hunks.length > 0) output.print(styled('bold', title));
  for (const { oldStart, newStart, lines } of patch.hunks) {
    output.print(styled('cyan', `@@ -${oldStart} +${newStart} @@`));
    for (const line of lines) output.print(styled(STYLES[line[0] ?? ''] ?? 'dim', line));
  }
  return true;
}
