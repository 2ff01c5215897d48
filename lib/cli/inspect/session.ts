/** The filter's side of the milter protocol, for a filter that only looks: it accepts every step and shows what came. */
import type { Socket } from 'node:net';
import { decodeBytes } from '../../internal/bytes.js';
import { encodeFrame, FrameReader } from '../../testing/wire/frames.js';
import { Answer, Command, CURRENT_VERSION, Protocol, showByte } from '../../testing/wire/protocol.js';
import { type Output, styled } from '../output.js';

/** The largest frame of the protocol: MILTER_MDS_1M. */
const MAX_FRAME = 1024 * 1024;
/** Characters of a value that are shown. */
const MAX_SHOWN = 500;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(Command).map(([name, command]) => [command, name.toLowerCase()]),
);
/** Commands to which a filter does not reply. */
const WITHOUT_REPLY: ReadonlySet<number> = new Set([
  Command.ABORT,
  Command.MACRO,
  Command.QUIT,
  Command.QUIT_NC,
]);

/**
 * Serves a connection of an MTA until it ends.
 * @param number tells the lines of simultaneous connections apart
 */
export function inspectSession(socket: Socket, number: number, output: Output): void {
  const show = (name: string, ...values: readonly string[]) =>
    output.print(
      styled('dim', `${number} `),
      styled('bold', name.padEnd(8)),
      ...values.map((value) => ` ${shortened(value)}`),
    );
  const reader = new FrameReader(MAX_FRAME, (command, payload) => {
    if (command === Command.OPTNEG) {
      socket.write(negotiated(payload, show));
      return;
    }
    if (command === Command.MACRO) showMacros(payload, show);
    else show(NAMES.get(command) ?? showByte(command), ...argumentsOf(command, payload));
    if (command === Command.QUIT) socket.end();
    else if (!WITHOUT_REPLY.has(command)) socket.write(encodeFrame(Answer.CONTINUE, ''));
  });
  socket.on('data', (chunk) => {
    try {
      reader.push(chunk);
    } catch (error) {
      show('error', (error as Error).message); // a frame that no MTA sends
      socket.destroy();
    }
  });
  socket.on('error', (error) => show('error', error.message));
  socket.on('close', () => show('closed'));
}

type Show = (name: string, ...values: readonly string[]) => void;

/** Takes every step, without rights to change anything; recipients that the MTA has refused too. */
function negotiated(payload: Buffer, show: Show): Buffer {
  if (payload.length < 12) throw new Error('the offer is cut off');
  const [version = 0, actions = 0, protocol = 0] = [0, 4, 8].map((at) => payload.readUInt32BE(at));
  show(
    'optneg',
    `version ${version}, actions 0x${actions.toString(16)}, protocol 0x${protocol.toString(16)}`,
  );
  const answer = Buffer.alloc(12);
  answer.writeUInt32BE(Math.min(version, CURRENT_VERSION), 0);
  answer.writeUInt32BE(protocol & Protocol.RCPT_REJ, 8);
  return encodeFrame(Command.OPTNEG, answer);
}

/** Macros are for the step whose command stands first. */
function showMacros(payload: Buffer, show: Show): void {
  const step = NAMES.get(payload[0] ?? 0) ?? showByte(payload[0] ?? 0);
  const words = strings(payload.subarray(1));
  const pairs = words.flatMap((name, at) => (at % 2 === 0 ? [`${name}=${words[at + 1] ?? ''}`] : []));
  show('macros', `for ${step}:`, ...pairs);
}

function argumentsOf(command: number, payload: Buffer): string[] {
  if (command === Command.BODY) return [`${payload.length} bytes`];
  if (command !== Command.CONNECT) return strings(payload);
  const end = payload.indexOf(0);
  const family = String.fromCharCode(payload[end + 1] ?? 0x55);
  const name = decodeBytes(payload.subarray(0, Math.max(end, 0)));
  if (family === 'U' || payload.length < end + 4) return [name, 'unknown address'];
  const port = payload.readUInt16BE(end + 2);
  return [
    name,
    `${FAMILIES[family] ?? family} ${strings(payload.subarray(end + 4))[0] ?? ''}`,
    `port ${port}`,
  ];
}

const FAMILIES: Readonly<Record<string, string>> = { 4: 'inet', 6: 'inet6', L: 'unix' };

/** Strings, each ended by a NUL. */
function strings(payload: Buffer): string[] {
  const text = decodeBytes(payload);
  return (text.endsWith('\0') ? text.slice(0, -1) : text)
    .split('\0')
    .filter((word, _, all) => word !== '' || all.length > 1);
}

/** One line, and not all of a header that fills a megabyte. */
function shortened(value: string): string {
  const line = value.replaceAll('\n', '\\n');
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)}... (${value.length} characters)` : line;
}
