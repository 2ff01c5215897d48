/** Random sessions of an MTA with a random filter, reproducible by a seed. */
import * as Milter from 'tsmilter';
import { Actions, type PeerAddress, Protocol } from 'tsmilter/testing';
import type { Act, Script } from '../fixtures/script.js';
import type { Random } from './random.js';

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

type Call = readonly [method: string, ...args: unknown[]];

function replyCall(random: Random): Call {
  if (random.chance(0.15)) {
    return random.pick<Call>([
      ['setreply', '250', '2.0.0', 'fine'],
      ['setreply', '550', '5.7.1', 'lone %'],
      ['setreply', '550', 'x', 'text'],
      ['setreply', '550', '5.7.1', 'one\ntwo'],
      ['setreply', 550, '5.7.1', 'text'],
    ]);
  }
  const code = random.pick(['421', '450', '451', '550', '554']);
  const extended = random.pick([null, `${code[0]}.7.${random.below(1000)}`]);
  const lines = Array.from(
    { length: random.pick([0, 1, 1, 1, 2, 5]) },
    (_, i) => `${i}: ${random.below(100)} %% é`,
  );
  return ['setreply', code, extended, ...(random.chance(0.1) ? [null] : lines)];
}

function actionCall(random: Random): Call {
  const name = random.pick(['X-A', 'Subject', 'bad name', 'X-B']);
  const value = random.pick([...TEXTS, 'one\r\n two', 'no\nfold']);
  return random.pick<Call>([
    ['addheader', name, value],
    ['addheader', name, value, random.below(3)],
    ['addheader', name, value, -7],
    ['chgheader', name, random.below(3), value],
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

function callsOf(random: Random, handler: string): Call[] {
  const many = handler === 'eom' ? 4 : 2;
  return Array.from({ length: random.below(many + 1) }, () => {
    if (handler === 'negotiate' && random.chance(0.5)) {
      const macros = random.some(MACRO_NAMES, 0.3);
      return ['setsymlist', random.below(8), ...macros];
    }
    if (random.chance(0.35)) {
      return ['getsymval', random.pick(DEFERRED.includes(handler) ? EARLY_MACROS : [...MACRO_NAMES, ''])];
    }
    return random.chance(handler === 'eom' ? 0.2 : 0.7) ? replyCall(random) : actionCall(random);
  });
}

function actOf(random: Random, handler: string, late: boolean): Act {
  const act: Record<string, unknown> = { call: callsOf(random, handler) };
  const isClose = handler === 'close'; // those of two sessions on one connection would overlap
  if (random.chance(0.15) && !isClose) act.wait = 0;
  if (random.chance(0.1) && !isClose) act.afterwards = callsOf(random, handler);
  // A gate that is never opened.
  if (late && random.chance(0.04) && !isClose && handler !== 'negotiate') act.gate = 'never';
  if (random.chance(0.06)) act.throws = 'on purpose';
  else if (random.chance(0.02)) act.throwsValue = random.pick([undefined, 'a string', 7]);
  else if (random.chance(0.04)) act.answer = random.pick(WRONG_ANSWERS);
  else if (handler === 'negotiate' ? random.chance(0.04) : random.chance(0.18))
    act.answer = random.pick(STATUSES);
  return act as Act;
}

function scriptOf(random: Random, late: boolean): Script {
  const defined = random.some(HANDLERS, random.pick([0.3, 0.6, 0.9]));
  const acts = (handler: string) =>
    random.chance(0.3)
      ? Array.from({ length: 3 }, () => actOf(random, handler, late))
      : actOf(random, handler, late);
  const marked = (of: readonly string[], probability: number) =>
    random.some(
      of.filter((handler) => (defined as readonly string[]).includes(handler)),
      probability,
    );
  const perHandler = <T>(of: readonly string[], probability: number, value: () => T) =>
    Object.fromEntries(marked(of, probability).map((handler) => [handler, value()]));
  const statics = {
    noreply: marked(NEGOTIABLE, random.pick([0, 0, 0.3])),
    nocallback: marked(NEGOTIABLE, random.pick([0, 0, 0.15])),
    symlist: perHandler(['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'], 0.15, () =>
      random.some(['i', '{auth_authen}', '{msg}', 'j'], 0.5),
    ),
    decode: perHandler(DECODED, 0.1, () => random.pick(['bytes', 'strict', 'ignore', 'replace'])),
    ...(random.chance(0.2) ? { immediate: true } : {}),
    ...(random.chance(0.15) ? { headerLeadingSpace: true } : {}),
    ...(random.chance(0.15) ? { rejectedRecipients: true } : {}),
  };
  return {
    handlers: Object.fromEntries([...defined, 'close'].map((handler) => [handler, acts(handler)])),
    statics,
    ...(random.chance(0.02) ? { constructorThrows: 'no object' } : {}),
    ...(defined.includes('negotiate') && random.chance(0.4)
      ? {
          options: [
            random.bits(Actions.ALL),
            random.chance(0.5)
              ? random.bits(0xff080)
              : random.bits(0xfffff) | (random.chance(0.1) ? 0x1000000 : 0),
          ] as const,
        }
      : {}),
  };
}

function offerOf(random: Random): ScriptedSession['offer'] {
  if (random.chance(0.5)) return {};
  if (random.chance(0.2)) return { version: 2 };
  if (random.chance(0.03)) return { version: random.pick([1, 7]) };
  if (random.chance(0.03)) return { actions: 0, protocol: 0 };
  const ALL_NR = 0xff080;
  return {
    version: random.pick([3, 4, 6, 6, 6]),
    actions: random.chance(0.5) ? Actions.ALL : random.bits(Actions.ALL) | 1,
    protocol:
      random.pick([
        Protocol.ALL & ~ALL_NR,
        Protocol.ALL & ~Protocol.SKIP,
        Protocol.ALL & ~(ALL_NR | Protocol.SKIP),
        Protocol.ALL | Protocol.MDS_256K,
        random.bits(Protocol.ALL) | 0x7f,
        random.bits(Protocol.ALL) | 1,
      ]) >>> 0,
  };
}

function macrosOf(random: Random): Macros {
  const macros: Macros = {};
  for (const step of random.some(MACRO_STEPS, 0.5)) {
    // j and daemon_name come at the first steps only, so that they are the same early and late.
    const names =
      step === 'connect' || step === 'helo'
        ? ['i', 'j', 'daemon_name', 'auth_authen']
        : ['i', 'auth_authen', 'msg'];
    macros[step] = Object.fromEntries(
      random.some(names, 0.6).map((name) => [name, random.pick(['Q1', '', 'Q2', 'grün', step])]),
    );
  }
  return macros;
}

function moveOf(random: Random, name: Move[0]): Move {
  const text = () => random.pick(TEXTS);
  switch (name) {
    case 'connect':
      return [name, random.pick(['client.example', '[192.0.2.1]', 'h\udcff']), random.pick(ADDRESSES)];
    case 'helo':
    case 'unknown':
      return [name, random.pick(['client.example', 'XYZZY a b', ...TEXTS])];
    case 'envfrom':
    case 'envrcpt':
      return [
        name,
        random.pick(['<bob@example.com>', '<>', 'x@y']),
        ...random.some(['SIZE=1', 'BODY=8BITMIME'], 0.3),
      ];
    case 'header':
      return [name, random.pick(['Subject', 'X-A', 'From']), text()];
    case 'body':
      return [name, random.pick(['line\r\n', 'a longer line of text\r\n'.repeat(3), '', 'bytes \udc80\r\n'])];
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

function movesOf(random: Random): Move[] {
  const names: Move[0][] = random.chance(0.9) ? ['connect', 'helo'] : [];
  for (let messages = 1 + random.below(3); messages > 0; messages--) {
    names.push('envfrom');
    for (let recipients = 1 + random.below(2); recipients > 0; recipients--) names.push('envrcpt');
    names.push('data');
    for (let headers = random.below(4); headers > 0; headers--) names.push('header');
    names.push('eoh');
    for (let bodies = random.below(3); bodies > 0; bodies--) names.push('body');
    names.push(random.chance(0.15) ? 'abort' : 'eom');
    if (random.chance(0.1)) names.push('unknown');
    if (random.chance(0.1)) names.push('quitNewConnection', 'connect', 'helo');
  }
  if (random.chance(0.3)) {
    for (let slips = 1 + random.below(4); slips > 0; slips--) {
      const at = random.below(names.length + 1);
      if (random.chance(0.5)) names.splice(at, 0, random.pick(ALL_MOVES));
      else names.splice(at, random.below(3));
    }
  }
  return names.map((name) => moveOf(random, name));
}

/**
 * A random session.
 * @param late whether handlers may take longer than their time
 */
export function scriptedSession(random: Random, late: boolean): ScriptedSession {
  const offer = offerOf(random);
  return {
    script: scriptOf(random, late),
    policy: random.chance(0.5) ? Milter.TEMPFAIL : random.pick(POLICIES),
    offer,
    macros: macrosOf(random),
    chunkSize: random.pick([16, 65535]),
    moves: movesOf(random),
  };
}
