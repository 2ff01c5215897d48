/** A filter that does something visible, and its test. */
import type { Files, Project } from './project.js';

export function filterFiles({ language }: Project): Files {
  if (language === 'javascript') return { 'filter.js': filter(''), 'filter.test.js': TEST };
  return { 'src/filter.ts': filter('override '), 'src/filter.test.ts': TEST };
}

function filter(override: string): string {
  const [text, status] = override === '' ? ['', ''] : [': string', ': Milter.Answer'];
  return `import * as Milter from 'tsmilter';

/**
 * One object for each SMTP session, one method for each step. Methods that you delete cost nothing; docs/callbacks.md of tsmilter has
 * all of them.
 */
export class Filter extends Milter.Base {
  /** The client learns of a rejection here at the end of the message. */
  ${override}header(name${text}, value${text})${status} {
    if (name.toLowerCase() !== 'subject' || !/lottery/i.test(value)) return Milter.CONTINUE;
    this.setreply('550', '5.7.1', 'no lottery, please');
    return Milter.REJECT;
  }

  /** The message is complete, and can be changed. */
  ${override}eom()${status} {
    this.addheader('X-Lottery', 'none');
    return Milter.ACCEPT;
  }
}
`;
}

const TEST = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestCtx } from 'tsmilter/testing';
import { Filter } from './filter.js';

test('a lottery is rejected', async () => {
  const ctx = new TestCtx(Filter);
  const { verdict } = await ctx.feedMessage('Subject: You won the LOTTERY\\n\\nCall us.\\n');
  assert.equal(verdict, 'reject');
  assert.equal(ctx.reply?.text, '550 5.7.1 no lottery, please');
  await ctx.close();
});

test('other mail gets a header', async () => {
  const ctx = new TestCtx(Filter);
  const { verdict, message } = await ctx.feedMessage('Subject: hello\\n\\nHow are you?\\n');
  assert.equal(verdict, 'accept');
  assert.deepEqual(message.header('X-Lottery'), ['none']);
  await ctx.close();
});
`;
