/** Random sessions of an MTA with a random filter, reproducible by a seed. */
import * as Milter from 'tsmilter';
import { Actions, type PeerAddress, Protocol } from 'tsmilter/testing';
import type { Act, Script } from '../fixtures/script.js';

/** One thing an MTA does. */
export type Move =
  | readonly ['connect', hostname: string, address: PeerAddress]
  | readonly ['envfrom' | 'envrcpt', address: string, ...params: string[]]
  | readonly ['header', name: string, value: string]
  | readonly ['helo' | 'unknown' | 'body', text: string]
  | readonly ['data' | 'eoh' | 'eom' | 'abort' | 'quitNewConnection'];

/** Macros by step. */
export type Macros = Record<string, Record<string, string>>;

/** A session: what the MTA offers and does, and what the filter does. */
export interface ScriptedSession {
  readonly script: Script;
  readonly policy: Milter.ExceptionPolicy;
  readonly offer: { readonly version?: number; readonly actions?: number; readonly protocol?: number };
  readonly macros: Macros;
  readonly chunkSize: number;
  readonly moves: readonly Move[];
}

const NEGOTIABLE = [
  'connect',
  'hello',
  'envfrom',
  'envrcpt',
  'data',
  'header',
  'eoh',
  'body',
  'unknown',
] as const;
const HANDLERS = ['negotiate', ...NEGOTIABLE, 'eom', 'abort'] as const;
const DECODED = ['connect', 'hello', 'envfrom', 'envrcpt', 'header', 'unknown'] as const;
/** Handlers whose calls may come in a batch with a later step's. */
const DEFERRED: readonly string[] = ['header', 'eoh', 'body'];
const POLICIES = [Milter.TEMPFAIL, Milter.REJECT, Milter.CONTINUE, Milter.ACCEPT] as const;
const STATUSES = [
  Milter.REJECT,
  Milter.DISCARD,
  Milter.ACCEPT,
  Milter.TEMPFAIL,
  Milter.NOREPLY,
  Milter.SKIP,
] as const;
const WRONG_ANSWERS = [undefined, null, 'CONTINUE', 42, -1, 20, Milter.ALL_OPTS, true] as const;
const ADDRESSES: readonly PeerAddress[] = [
  { family: 'inet', address: '192.0.2.1', port: 40000 },
  { family: 'inet', address: '127.0.0.1', port: 0 },
  { family: 'inet6', address: '2001:DB8:0:0:0:0:0:1', port: 65535 },
  { family: 'inet6', address: 'IPv6:0:0:0:0:0:0:0:1', port: 25 },
  { family: 'inet6', address: '::ffff:192.0.2.9', port: 1 },
  { family: 'unix', path: '/run/client.sock' },
  { family: 'unix', path: '' },
  { family: 'unknown' },
];
/** The last ends in a byte that is not UTF-8. */
const TEXTS = ['plain', '', ' spaced', 'two\n\tlines', 'grüße', '100% sure', 'raw \udce9', '𝄞'] as const;
const MACRO_STEPS = ['connect', 'helo', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'] as const;
/** Macros that handlers whose calls may be late ask for: their value does not depend on when. */
const EARLY_MACROS = ['j', '{daemon_name}', '{none}'] as const;
const MACRO_NAMES = ['i', '{i}', 'j', '{j}', '{auth_authen}', '{daemon_name}', '{none}', '{msg}'] as const;

/** A small generator of random numbers (mulberry32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Whether something of this probability happens. */
  of(probability: number): boolean {
    return this.next() < probability;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  one<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }

  some<T>(of: readonly T[], probability: number): T[] {
    return of.filter(() => this.of(probability));
  }

  bits(of: number): number {
    return (Math.floor(this.next() * 2 ** 32) & of) >>> 0;
  }
}

type Call = readonly [method: string, ...args: unknown[]];

function replyCall(chance: Chance): Call {
  if (chance.of(0.15)) {
    return chance.one<Call>([
      ['setreply', '250', '2.0.0', 'fine'],
      ['setreply', '550', '5.7.1', 'lone %'],
      ['setreply', '550', 'x', 'text'],
      ['setreply', '550', '5.7.1', 'one\ntwo'],
      ['setreply', 550, '5.7.1', 'text'],
    ]);
  }
  const code = chance.one(['421', '450', '451', '550', '554']);
  const extended = chance.one([null, `${code[0]}.7.${chance.below(1000)}`]);
  const lines = Array.from(
    { length: chance.one([0, 1, 1, 1, 2, 5]) },
    (_, i) => `${i}: ${chance.below(100)} %% é`,
  );
  return ['setreply', code, extended, ...(chance.of(0.1) ? [null] : lines)];
}

function actionCall(chance: Chance): Call {
  const name = chance.one(['X-A', 'Subject', 'bad name', 'X-B']);
  const value = chance.one([...TEXTS, 'one\r\n two', 'no\nfold']);
  return chance.one<Call>([
    ['addheader', name, value],
    ['addheader', name, value, chance.below(3)],
    ['addheader', name, value, -7],
    ['chgheader', name, chance.below(3), value],
    ['chgheader', name, 1, null],
    ['addrcpt', '<new@example.com>'],
    ['addrcpt', '<new@example.com>', 'NOTIFY=NEVER'],
    ['addrcpt', '<new@example.com>', ''],
    ['addrcpt', ''],
    ['delrcpt', '<bob@example.com>'],
    ['replacebody', 'new body\r\n'],
    ['replacebody', Buffer.from([0, 1, 255])],
    ['replacebody', ''],
    ['replacebody', 'x'.repeat(70_000)],
    ['chgfrom', '<other@example.com>'],
    ['chgfrom', '<other@example.com>', 'SIZE=1'],
    ['quarantine', 'looks odd'],
    ['quarantine', 'two\nlines'],
    ['progress'],
  ]);
}

function callsOf(chance: Chance, handler: string): Call[] {
  const many = handler === 'eom' ? 4 : 2;
  return Array.from({ length: chance.below(many + 1) }, () => {
    if (handler === 'negotiate' && chance.of(0.5)) {
      const macros = chance.some(MACRO_NAMES, 0.3);
      return ['setsymlist', chance.below(8), ...macros];
    }
    if (chance.of(0.35)) {
      return ['getsymval', chance.one(DEFERRED.includes(handler) ? EARLY_MACROS : [...MACRO_NAMES, ''])];
    }
    return chance.of(handler === 'eom' ? 0.2 : 0.7) ? replyCall(chance) : actionCall(chance);
  });
}

function actOf(chance: Chance, handler: string, late: boolean): Act {
  const act: Record<string, unknown> = { call: callsOf(chance, handler) };
  const isClose = handler === 'close'; // those of two sessions on one connection would overlap
  if (chance.of(0.15) && !isClose) act.wait = 0;
  if (chance.of(0.1) && !isClose) act.afterwards = callsOf(chance, handler);
  // A gate that is never opened.
  if (late && chance.of(0.04) && !isClose && handler !== 'negotiate') act.gate = 'never';
  if (chance.of(0.06)) act.throws = 'on purpose';
  else if (chance.of(0.02)) act.throwsValue = chance.one([undefined, 'a string', 7]);
  else if (chance.of(0.04)) act.answer = chance.one(WRONG_ANSWERS);
  else if (handler === 'negotiate' ? chance.of(0.04) : chance.of(0.18)) act.answer = chance.one(STATUSES);
  return act as Act;
}

function scriptOf(chance: Chance, late: boolean): Script {
  const defined = chance.some(HANDLERS, chance.one([0.3, 0.6, 0.9]));
  const acts = (handler: string) =>
    chance.of(0.3)
      ? Array.from({ length: 3 }, () => actOf(chance, handler, late))
      : actOf(chance, handler, late);
  const marked = (of: readonly string[], probability: number) =>
    chance.some(
      of.filter((handler) => (defined as readonly string[]).includes(handler)),
      probability,
    );
  const perHandler = <T>(of: readonly string[], probability: number, value: () => T) =>
    Object.fromEntries(marked(of, probability).map((handler) => [handler, value()]));
  const statics = {
    noreply: marked(NEGOTIABLE, chance.one([0, 0, 0.3])),
    nocallback: marked(NEGOTIABLE, chance.one([0, 0, 0.15])),
    symlist: perHandler(['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'], 0.15, () =>
      chance.some(['i', '{auth_authen}', '{msg}', 'j'], 0.5),
    ),
    decode: perHandler(DECODED, 0.1, () => chance.one(['bytes', 'strict', 'ignore', 'replace'])),
    ...(chance.of(0.2) ? { immediate: true } : {}),
    ...(chance.of(0.15) ? { headerLeadingSpace: true } : {}),
    ...(chance.of(0.15) ? { rejectedRecipients: true } : {}),
  };
  return {
    handlers: Object.fromEntries([...defined, 'close'].map((handler) => [handler, acts(handler)])),
    statics,
    ...(chance.of(0.02) ? { constructorThrows: 'no object' } : {}),
    ...(defined.includes('negotiate') && chance.of(0.4)
      ? {
          options: [
            chance.bits(Actions.ALL),
            chance.of(0.5) ? chance.bits(0xff080) : chance.bits(0xfffff) | (chance.of(0.1) ? 0x1000000 : 0),
          ] as const,
        }
      : {}),
  };
}

function offerOf(chance: Chance): ScriptedSession['offer'] {
  if (chance.of(0.5)) return {};
  if (chance.of(0.2)) return { version: 2 };
  if (chance.of(0.03)) return { version: chance.one([1, 7]) };
  if (chance.of(0.03)) return { actions: 0, protocol: 0 };
  const ALL_NR = 0xff080;
  return {
    version: chance.one([3, 4, 6, 6, 6]),
    actions: chance.of(0.5) ? Actions.ALL : chance.bits(Actions.ALL) | 1,
    protocol:
      chance.one([
        Protocol.ALL & ~ALL_NR,
        Protocol.ALL & ~Protocol.SKIP,
        Protocol.ALL & ~(ALL_NR | Protocol.SKIP),
        Protocol.ALL | Protocol.MDS_256K,
        chance.bits(Protocol.ALL) | 0x7f,
        chance.bits(Protocol.ALL) | 1,
      ]) >>> 0,
  };
}

function macrosOf(chance: Chance): Macros {
  const macros: Macros = {};
  for (const step of chance.some(MACRO_STEPS, 0.5)) {
    // j and daemon_name come at the first steps only, so that they are the same early and late.
    const names =
      step === 'connect' || step === 'helo'
        ? ['i', 'j', 'daemon_name', 'auth_authen']
        : ['i', 'auth_authen', 'msg'];
    macros[step] = Object.fromEntries(
      chance.some(names, 0.6).map((name) => [name, chance.one(['Q1', '', 'Q2', 'grün', step])]),
    );
  }
  return macros;
}

function moveOf(chance: Chance, name: Move[0]): Move {
  const text = () => chance.one(TEXTS);
  switch (name) {
    case 'connect':
      return [name, chance.one(['client.example', '[192.0.2.1]', 'h\udcff']), chance.one(ADDRESSES)];
    case 'helo':
    case 'unknown':
      return [name, chance.one(['client.example', 'XYZZY a b', ...TEXTS])];
    case 'envfrom':
    case 'envrcpt':
      return [
        name,
        chance.one(['<bob@example.com>', '<>', 'x@y']),
        ...chance.some(['SIZE=1', 'BODY=8BITMIME'], 0.3),
      ];
    case 'header':
      return [name, chance.one(['Subject', 'X-A', 'From']), text()];
    case 'body':
      return [name, chance.one(['line\r\n', 'a longer line of text\r\n'.repeat(3), '', 'bytes \udc80\r\n'])];
    default:
      return [name];
  }
}

const ALL_MOVES: readonly Move[0][] = [
  'connect',
  'helo',
  'envfrom',
  'envrcpt',
  'data',
  'header',
  'eoh',
  'body',
  'eom',
  'unknown',
  'abort',
  'quitNewConnection',
];

function movesOf(chance: Chance): Move[] {
  const names: Move[0][] = chance.of(0.9) ? ['connect', 'helo'] : [];
  for (let messages = 1 + chance.below(3); messages > 0; messages--) {
    names.push('envfrom');
    for (let recipients = 1 + chance.below(2); recipients > 0; recipients--) names.push('envrcpt');
    names.push('data');
    for (let headers = chance.below(4); headers > 0; headers--) names.push('header');
    names.push('eoh');
    for (let bodies = chance.below(3); bodies > 0; bodies--) names.push('body');
    names.push(chance.of(0.15) ? 'abort' : 'eom');
    if (chance.of(0.1)) names.push('unknown');
    if (chance.of(0.1)) names.push('quitNewConnection', 'connect', 'helo');
  }
  if (chance.of(0.3)) {
    for (let slips = 1 + chance.below(4); slips > 0; slips--) {
      const at = chance.below(names.length + 1);
      if (chance.of(0.5)) names.splice(at, 0, chance.one(ALL_MOVES));
      else names.splice(at, chance.below(3));
    }
  }
  return names.map((name) => moveOf(chance, name));
}

/**
 * A random session.
 * @param late whether handlers may take longer than their time
 */
export function scriptedSession(chance: Chance, late: boolean): ScriptedSession {
  const offer = offerOf(chance);
  return {
    script: scriptOf(chance, late),
    policy: chance.of(0.5) ? Milter.TEMPFAIL : chance.one(POLICIES),
    offer,
    macros: macrosOf(chance),
    chunkSize: chance.one([16, 65535]),
    moves: movesOf(chance),
  };
}
