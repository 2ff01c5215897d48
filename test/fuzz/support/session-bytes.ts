/** Random sessions of an MTA that is sometimes broken, or an enemy, as bytes on the wire. */
import { frame, offer } from '../../support/frames';
import type { Random } from '../../support/random';

/** Bytes, and how many frames are in them. */
export interface Batch {
  readonly bytes: Buffer;
  readonly frames: number;
}

const nul = (...parts: readonly string[]) => parts.map((part) => `${part}\0`).join('');

const TEXTS = [
  '',
  'x',
  'client.example',
  '<bob@example.com>',
  '<>',
  'SIZE=1000',
  ' leading',
  'two\n\tlines',
  '100% %s %n',
  'gr\xfc\xdfe \xff\xfe',
  'a'.repeat(300),
  'b'.repeat(8_000),
];
const HOSTS = ['fuzz.example', '[192.0.2.1]', '', '\xff', 'h'.repeat(1_000)];
/** Families and addresses, as on the wire; some do not fit together. */
const ADDRESSES = [
  'U',
  '4\x12\x67192.0.2.1\0',
  '6\0\x19IPv6:2001:db8::1\0',
  '6\0\x192001:db8::1\0',
  'L\0\0/run/client.sock\0',
  '4\x12\x67not an address\0',
  '6\0\x19192.0.2.1\0',
  'X\0\0?\0',
];
const MACROS = ['i', '{i}', 'j', '{auth_authen}', '{mail_addr}', '_', '{long}'];
const STEPS = 'CHMRTLNBEUAKQ';

const REPEATED = Buffer.from('a line of the body\r\n'.repeat(3_300), 'latin1');
const EXACT_PROTOCOLS = [0x1fffff, 0, 0x7f, 0xfffff, 0x101fffff, 0x301fffff];

function negotiation(random: Random): Buffer {
  if (random.chance(0.02)) return frame('O', randomBytes(random, random.below(40)));
  const version = random.chance(0.95) ? 2 + random.below(5) : random.uint32();
  const actions = random.chance(0.5) ? 0x1ff : random.bits(0x3ff);
  const protocol = random.chance(0.6) ? random.pick(EXACT_PROTOCOLS) : random.uint32();
  return offer(version, actions, protocol);
}

function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at++) bytes[at] = random.uint32() >>> 24;
  return bytes;
}

/**
 * Macros, always in pairs, each string with its NUL. libmilter 8.17 takes any number of strings, but smfi_getsymval
 * then steps through its list in twos, past the end of an odd one, and crashes: whoever can connect can end the
 * filter (docs/sockets.md), and nothing that runs inside libmilter's callbacks can see or prevent it. So this is the one
 * thing that the fuzzer does not send.
 */
function macros(random: Random, step: string): Buffer {
  const pairs = Array.from({ length: random.below(5) }, () => [random.pick(MACROS), random.pick(TEXTS)]);
  return frame('D', `${step}${nul(...pairs.flat())}`);
}

function text(random: Random): string {
  return random.pick(TEXTS);
}

/** A well-formed frame of a step. */
function step(random: Random, letter: string): Buffer {
  switch (letter) {
    case 'C':
      return frame('C', `${nul(random.pick(HOSTS))}${random.pick(ADDRESSES)}`);
    case 'H':
    case 'U':
      return frame(letter, nul(text(random)));
    case 'M':
    case 'R':
      return frame(
        letter,
        nul('<a@client.example>', ...Array.from({ length: random.below(3) }, () => text(random))),
      );
    case 'L':
      return frame('L', nul(random.pick(['Subject', 'X-Odd', text(random)]), text(random)));
    case 'B':
      return frame('B', REPEATED.subarray(0, random.chance(0.1) ? random.below(65_536) : random.below(200)));
    default:
      return frame(letter);
  }
}

/** A frame that no MTA sends. */
function broken(random: Random): Buffer {
  const kind = random.below(4);
  if (kind === 0) return frame(randomCommand(random), randomBytes(random, random.below(60)));
  const valid = step(random, random.pick(STEPS));
  if (kind === 1) valid[4] = randomCommand(random);
  else if (kind === 2) return frame(valid[4] as number, valid.subarray(5, 5 + random.below(valid.length)));
  else for (let flips = 1 + random.below(4); flips > 0; flips--) flip(random, valid);
  return valid;
}

/** A frame of a wrong length, and bytes in which libmilter looks for the next one. Nothing can follow in its place. */
function outOfStep(random: Random): Buffer {
  const valid = step(random, random.pick(STEPS));
  valid.writeUInt32BE(random.chance(0.5) ? random.below(valid.length) : random.uint32(), 0);
  const rest = randomBytes(random, random.below(200));
  return Buffer.concat([valid, rest.map((byte) => (byte === MACRO ? 0 : byte))]);
}

/** The command of a macro frame. */
const MACRO = 'D'.charCodeAt(0);

/** Any command but that of a macro frame: {@link macros} says why. */
function randomCommand(random: Random): number {
  const command = random.below(256);
  return command === MACRO ? 0 : command;
}

/** Changes a byte of the payload. */
function flip(random: Random, bytes: Buffer): void {
  if (bytes.length > 5) bytes[5 + random.below(bytes.length - 5)] = random.uint32() >>> 24;
}

/** The steps of a message, in order. */
function messageSteps(random: Random): string[] {
  const steps = ['M'];
  for (let recipients = random.below(4); recipients > 0; recipients--) steps.push('R');
  if (random.chance(0.8)) steps.push('T');
  for (let headers = random.below(12); headers > 0; headers--) steps.push('L');
  steps.push('N');
  for (let chunks = random.below(5); chunks > 0; chunks--) steps.push('B');
  steps.push('E');
  return steps;
}

/** Steps that come too early, too late or not at all. */
function disturb(random: Random, steps: string[]): void {
  for (let slips = 1 + random.below(3); slips > 0; slips--) {
    const at = random.below(steps.length + 1);
    if (random.chance(0.4)) steps.splice(at, 1 + random.below(4));
    else steps.splice(at, 0, random.pick(STEPS));
  }
}

/** How likely it is that a message has a frame that breaks the protocol, after which libmilter ends the session. */
const BROKEN = 0.02;

/** A connection's bytes, message by message: a negotiation, and what a good, a bad or an evil MTA sends after it. */
export function* sessionBytes(random: Random): Generator<Batch> {
  const begin = random.chance(0.98) ? [negotiation(random)] : [];
  let steps = random.chance(0.95) ? ['C', 'H'] : [];
  for (let messages = 1 + random.below(12); messages > 0; messages--) {
    steps.push(...messageSteps(random));
    if (random.chance(0.1)) steps.push('A');
    if (random.chance(0.1)) steps.push('U');
    if (random.chance(0.15)) steps.push('K', 'C', 'H');
    if (random.chance(0.15)) disturb(random, steps);
    const frames = begin.splice(0);
    for (const letter of steps) {
      if (random.chance(0.25)) frames.push(macros(random, letter));
      frames.push(step(random, letter));
    }
    if (random.chance(BROKEN)) frames.splice(random.below(frames.length + 1), 0, broken(random));
    if (random.chance(0.01)) frames.push(negotiation(random));
    yield { bytes: Buffer.concat(frames), frames: frames.length };
    steps = [];
  }
  if (random.chance(0.1)) yield { bytes: outOfStep(random), frames: 1 };
  else if (random.chance(0.5)) yield { bytes: frame('Q'), frames: 1 };
}
