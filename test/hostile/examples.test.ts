/** The examples reject for good what exceeds a limit of tsmilter/mime: deferred, it would come again for days. */
import { describe, expect, it, jest } from '@jest/globals';
import { TestCtx } from 'tsmilter/testing';
import { SampleFilter } from '../../examples/sample/filter';
import { expectThat } from '../support/expect';

/** A megabyte of headers, in lines as the milter protocol carries them. */
const MANY_HEADERS = Array.from({ length: 16_384 }, (_, at) => `X-Filler-${at}: ${'x'.repeat(48)}\n`).join(
  '',
);

describe('a message with a megabyte of headers', () => {
  it('is rejected by the sample', async () => {
    const log = jest.spyOn(console, 'log').mockImplementation(() => {});
    try {
      await using ctx = new TestCtx(SampleFilter);
      const { verdict } = await ctx.feedMessage(`${MANY_HEADERS}Subject: hello there\n\ntext\n`);
      expectThat(verdict, JSON.stringify(ctx.reply)).toBe('reject');
      expect(ctx.reply?.lines[0]).toMatch(/too large or too deeply nested/);
      expect(ctx.errors).toStrictEqual([]);
    } finally {
      log.mockRestore();
    }
  });
});
