/** Behind both MTAs: messages are archived as they arrived, and one that a handler fails on is replayed as the filter has seen it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import { FailedMessages, readMbox, readSaved } from 'tsmilter/archive';
import { MessageFilter, type Transaction } from 'tsmilter/message';
import { replay } from 'tsmilter/testing';
import { kinds, MtaFixture } from './support/mta-fixture';

let directory: string;
let mtas: MtaFixture;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tsmilter-archive-'));
  mtas = await MtaFixture.start({ fixture: 'failing', filter: { directory } as object });
});
afterAll(async () => {
  await mtas?.stop();
  rmSync(directory, { recursive: true });
});

const BODY = 'From here\r\n>From there\r\n\r\nlast line\r\n';

async function archived(id: string): Promise<{ sender: string; text: string } | undefined> {
  for await (const { sender, bytes } of readMbox(join(directory, 'archive.mbox'))) {
    const text = bytes.toString('latin1');
    if (text.includes(`<${id}@`)) return { sender, text };
  }
  return undefined;
}

describe.each(kinds)('%s', (kind) => {
  it('has its messages archived', async () => {
    const { id } = await mtas.submit(kind, { headers: ['X-Folded: a', '\tb'], body: BODY });
    await mtas.delivered(id);
    const found = await archived(id);
    expect(found?.sender).toBe('from@src.test');
    expect(found?.text).toMatch(/^X-Folded: a\n\tb\n/m);
    expect(found?.text.endsWith(`\n\n${BODY.replaceAll('\r\n', '\n')}`)).toBe(true);
  });

  it('gets a temporary failure for a message that is then replayed', async () => {
    const sent = await mtas.submit(kind, {
      headers: [`X-Fail: ${kind}`, 'X-Raw: \xfc'].map((line) => Buffer.from(line, 'latin1')),
      body: BODY.repeat(100_000),
      mailParams: 'BODY=8BITMIME',
      to: ['one@dest.test', 'two@dest.test'],
    });
    expect(sent.last).toMatchObject({ code: 451 });

    const path = (await new FailedMessages(join(directory, 'failed')).list()).at(-1) as string;
    const { body, recipients, client, macros } = await readSaved(path);
    expect(body.toString()).toBe(BODY.repeat(100_000));
    expect(client?.peer).toMatchObject({ family: 'inet', address: '127.0.0.1' });
    expect(recipients.map((recipient) => recipient.macros['{rcpt_addr}'])).toStrictEqual([
      'one@dest.test',
      'two@dest.test',
    ]);
    expect(macros.connect?.j).toBeTruthy();

    let seen: Transaction | undefined;
    let raw: string | undefined;
    class Mended extends MessageFilter {
      protected override async message(transaction: Transaction) {
        seen = transaction;
        raw = transaction.headers.field('X-Raw')?.unfolded;
        return Milter.CONTINUE;
      }
    }
    const result = await replay(Mended, path);
    expect([result.verdict, result.errors]).toStrictEqual(['accept', []]);
    expect([seen?.sender.address, { ...seen?.sender.params }]).toMatchObject([
      'from@src.test',
      { BODY: '8BITMIME' },
    ]);
    expect([seen?.body.size, raw]).toStrictEqual([BODY.length * 100_000, '\udcfc']);
    expect(seen?.queueId).toBe(macros.eom?.i);
  });
});
