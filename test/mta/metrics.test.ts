// What a filter has counted, and what real MTAs have told their clients.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freePort } from '../../tools/free-ports';
import { until } from '../../tools/wait';
import { expectThat } from '../support/expect';
import { type Kind, kinds, MtaFixture } from './support/mta-fixture';

const ROUNDS = 20;

let mtas: MtaFixture;
let url = '';
beforeAll(async () => {
  const port = await freePort();
  url = `http://127.0.0.1:${port}/metrics`;
  mtas = await MtaFixture.start({ fixture: 'measured', filter: { metrics: `inet:${port}` } });
});
afterAll(() => mtas?.stop());

/** The value of a line of the metrics; 0 if it is not there. */
async function metric(line: string): Promise<number> {
  const text = await (await fetch(url)).text();
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

test('each message and each recipient is counted with the verdict that its client saw', async () => {
  const codes: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const kind = kinds[round % 2] as Kind;
    const accepted = await mtas.submit(kind);
    const refused = await mtas.submit(kind, { headers: ['X-Reject: yes'] });
    codes.push(accepted.last.code, refused.last.code);
  }
  const of = (code: number) => codes.filter((one) => one === code).length;
  expectThat([of(250), of(550) + of(554)], codes.join()).toStrictEqual([ROUNDS, ROUNDS]);
  expect(await metric('tsmilter_messages_total{verdict="continue",step="eom"}')).toBe(of(250));
  expect(await metric('tsmilter_messages_total{verdict="reject",step="header"}')).toBe(ROUNDS);
  expect(await metric('tsmilter_recipients_total{verdict="taken"}')).toBe(2 * ROUNDS);
  await until('the sessions closed', async () => (await metric('tsmilter_sessions_open')) === 0);
});
