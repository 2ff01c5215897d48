/** What every AddressMemory of tsmilter/lists must do; the tests of each run the same table. */
import { expect, it } from '@jest/globals';
import { type AddressMemory, MilterError } from 'tsmilter/lists';
import { errorWith } from './expect';

/** @param open makes a new, empty one */
export function testAddressMemory(open: () => AddressMemory): void {
  it('are found in each spelling, and no others', async () => {
    const memory = open();
    await memory.add(['ann@example.com', '<Bob@Bücher.example>', '<joe@example.org>', 'ann@example.com'], 60);
    for (const address of [
      'Ann@EXAMPLE.com',
      '<ann@example.com>',
      'bob@xn--bcher-kva.example',
      'joe@example.org',
    ])
      expect(await memory.has(address)).toBe(true);
    for (const address of [
      '',
      '<>',
      'example.com',
      'ann@mail.example.com',
      'annette@example.com',
      'nn@example.com',
    ])
      expect(await memory.has(address)).toBe(false);
    await memory.close();
  });

  it('of strangers have no length that matters', async () => {
    const memory = open();
    const long = `${'x'.repeat(100_000)}@example.com`;
    await memory.add([long, '@', '__proto__'], 1);
    expect(await memory.has(long)).toBe(true);
    expect(await memory.has('__proto__')).toBe(true);
    expect(await memory.has('constructor')).toBe(false);
    await memory.close();
  });

  it('may be none, or more than a script writes', async () => {
    const memory = open();
    await memory.add([], 60);
    const many = Array.from({ length: 1234 }, (__, nth) => `user${nth}@example.com`);
    await memory.add(many, 60);
    expect(await memory.has('user0@example.com')).toBe(true);
    expect(await memory.has('user1233@example.com')).toBe(true);
    expect(await memory.clean()).toBe(0);
    await memory.close();
  });

  it('are checked, and so are their days', async () => {
    const memory = open();
    const refused = errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }, MilterError);
    for (const days of [0, 0.5, -1, Number.NaN, 40_000])
      await expect(memory.add(['ann@example.com'], days)).rejects.toThrow(refused);
    await expect(memory.add('ann@example.com' as never, 1)).rejects.toThrow(refused);
    await expect(memory.add([null as never], 1)).rejects.toThrow(refused);
    await expect(memory.has(undefined as never)).rejects.toThrow(refused);
    await memory.close();
  });

  it('are not to be had from a store that is closed', async () => {
    const memory = open();
    await memory.close();
    await expect(memory.has('ann@example.com')).rejects.toThrow(
      errorWith({ code: 'ERR_MILTER_STORE' }, MilterError),
    );
  });
}
