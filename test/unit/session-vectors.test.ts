/**
 * The rules of a session, as test/vectors/session.txt has them, in the simulator of tsmilter/testing.
 * native/tests/session_vectors_test.cc runs the same lines through native/bridge/session.cc.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ACCEPT, CONTINUE, DISCARD, NOREPLY, P_SKIP, REJECT, SKIP, TEMPFAIL } from '#lib/addon/constants.js';
import { bitOf, STEP_NAMES, type StepName } from '#lib/addon/steps.js';
import type { Callbacks } from '#lib/session/callbacks.js';
import type { Context } from '#lib/session/context.js';
import { Exceptions } from '#lib/session/exception-policy.js';
import { Bridge } from '#lib/testing/simulator/bridge.js';
import type { Mta } from '#lib/testing/simulator/mta.js';
import { projectRoot } from '../../tools/project-root.js';

const VERDICTS: Record<string, number> = {
  continue: CONTINUE,
  reject: REJECT,
  discard: DISCARD,
  accept: ACCEPT,
  tempfail: TEMPFAIL,
  noreply: NOREPLY,
  skip: SKIP,
};
const VERDICT_NAMES = new Map(Object.entries(VERDICTS).map(([name, verdict]) => [verdict, name]));

interface Vector {
  readonly title: string;
  readonly lines: string[];
}

function readVectors(): Vector[] {
  const vectors: Vector[] = [];
  for (const line of readFileSync(join(projectRoot, 'test/vectors/session.txt'), 'utf8').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('vector ')) vectors.push({ title: line.slice('vector '.length), lines: [] });
    else vectors.at(-1)?.lines.push(line);
  }
  return vectors;
}

/** `all`, or names with commas in between. */
function maskOf(list: string): number {
  const names = list === 'all' ? STEP_NAMES : list.split(',');
  return names.reduce((mask, name) => mask | bitOf(STEP_NAMES.indexOf(name as StepName)), 0);
}

function optionsOf(line: string) {
  const words = line.split(' ');
  const list = (name: string, otherwise: number) => {
    const word = words.find((candidate) => candidate.startsWith(`${name}=`));
    return word ? maskOf(word.slice(name.length + 1)) : otherwise;
  };
  return {
    actions: 0xffffffff,
    protocol: words.includes('skip') ? P_SKIP : 0,
    added: 0,
    asked: list('asked', 0xffffffff),
    deferred: list('deferred', 0),
    silent: list('silent', 0),
    macros: 'i',
  };
}

/** Runs the events of a vector, and returns its lines as they should have been. */
async function run({ lines }: Vector): Promise<string[]> {
  let called: string[] = [];
  let reply = '';
  let macro: string | null = null;
  const mta: Mta = {
    getsymval: (name) => (name === 'i' ? macro : null),
    setreply: (code, _extended, texts) => {
      reply = `${code} ${texts.join(' ')}`;
      return true;
    },
    setsymlist: () => true,
    perform: () => {},
  };
  const handlers = new Map(
    lines
      .filter((line) => line.startsWith('handler '))
      .map((line) => {
        const [, step, verdict, code, ...text] = line.split(' ');
        return [step, { verdict: VERDICTS[verdict as string], code, text: text.join(' ') }];
      }),
  );
  const callbacks = Object.fromEntries(
    STEP_NAMES.map((step) => [
      step,
      (context: Context) => {
        called.push(macro === null || step === 'close' ? step : `${step}=${context.getsymval('i')}`);
        const handler = handlers.get(step);
        if (handler?.code) context.setreply(handler.code, null, handler.text);
        return handler?.verdict ?? CONTINUE;
      },
    ]),
  ) as unknown as Callbacks;
  const dependencies = {
    callbacks,
    exceptions: new Exceptions(),
    options: { handlerTimeout: 0, progressInterval: 0, immediate: false },
  };
  const bridge = new Bridge(mta, dependencies, optionsOf(lines[0] as string));
  const found: string[] = [];
  for (const line of lines) {
    const [event] = line.split(' ') as [string];
    if (event === 'macro') macro = line.slice('macro '.length);
    if (event === 'options' || event === 'handler' || event === 'macro') {
      found.push(line);
      continue;
    }
    called = [];
    reply = '';
    if (event === 'close') {
      await bridge.close();
      found.push(['close |', ...called].join(' '));
      continue;
    }
    const [step, bytes] = event.split(':');
    const number = STEP_NAMES.indexOf(step as StepName);
    const verdict = await bridge.handle(number, 'x'.repeat(Number(bytes ?? 0)));
    let result = `${event} ${VERDICT_NAMES.get(verdict)}`;
    if (called.length > 0 || reply !== '') result += ['', '|', ...called].join(' ');
    if (reply !== '') result += ` | reply ${reply}`;
    found.push(result);
  }
  return found;
}

describe('the rules of a session', () => {
  for (const vector of readVectors()) {
    it(vector.title, async () => {
      expect(await run(vector)).toStrictEqual(vector.lines);
    });
  }
});
