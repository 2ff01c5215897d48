/** The constants, their names here and in C, and the tables that are made of them. */
import { describe, expect, it } from '@jest/globals';
import * as Milter from 'tsmilter';
import * as lowlevel from 'tsmilter/lowlevel';
import { Actions, Protocol } from 'tsmilter/testing';
import { HEADER_CONSTANTS } from '#lib/addon/constants.js';
import { NEGOTIABLE, STEP_NAMES, SYMLIST_STAGES } from '#lib/addon/steps.js';
import { expectThat } from '../support/expect';

const faces = Milter as unknown as Record<string, unknown>;

/** The name of a constant here, from C's. */
function nameOf(c: string): string {
  if (c.startsWith('SMFIP_')) return c.replace('SMFIP_', 'P_');
  if (c.startsWith('SMFIM_')) return c.replace('SMFIM_', 'M_');
  return c.replace(/^SMFI[A-Z]?_/, '');
}

describe('constants', () => {
  it('exports every C constant that is a status, a right, a stage or a protocol bit', () => {
    for (const [c, value] of Object.entries(HEADER_CONSTANTS)) {
      if (c === 'SMFIF_NONE') continue;
      expectThat(faces[nameOf(c)], c).toBe(value);
    }
  });

  it("have the protocol's values", () => {
    expect([
      Milter.CONTINUE,
      Milter.REJECT,
      Milter.DISCARD,
      Milter.ACCEPT,
      Milter.TEMPFAIL,
      Milter.NOREPLY,
      Milter.SKIP,
    ]).toStrictEqual([0, 1, 2, 3, 4, 7, 8]);
    expect(Milter.ALL_OPTS).toBe(10);
    expect(Milter.CURR_ACTS).toBe(0x1ff);
    expect(Milter.V2_ACTS).toBe(0x3f);
  });

  it("tsmilter/testing, which has its own table, agrees with libmilter's header", () => {
    for (const [name, value] of Object.entries(Actions)) {
      if (name === 'ALL') expect(value).toBe(HEADER_CONSTANTS.SMFI_CURR_ACTS);
      else if (name === 'V2') expect(value).toBe(HEADER_CONSTANTS.SMFI_V2_ACTS);
      else expectThat(value, name).toBe((HEADER_CONSTANTS as Record<string, number>)[`SMFIF_${name}`]);
    }
    for (const [name, value] of Object.entries(Protocol)) {
      if (name === 'ALL' || name === 'V2') continue;
      expectThat(value, name).toBe((HEADER_CONSTANTS as Record<string, number>)[`SMFIP_${name}`]);
    }
  });

  it('exports from tsmilter and tsmilter/lowlevel every name that pymilter has in both modules', () => {
    for (const name of Object.keys(faces).filter((key) => /^[A-Z0-9_]+$/.test(key))) {
      expectThat((lowlevel as unknown as Record<string, unknown>)[name], name).toBe(faces[name]);
    }
  });

  it("address families have Linux's numbers", () => {
    expect([Milter.AF_UNSPEC, Milter.AF_UNIX, Milter.AF_INET, Milter.AF_INET6]).toStrictEqual([0, 1, 2, 10]);
  });

  it('each negotiable step has protocol bits of its own', () => {
    const bits = NEGOTIABLE.flatMap(({ no, nr }) => [no, nr]);
    expect(new Set(bits).size).toBe(18);
    expect(bits.every((bit) => bit > 0 && (bit & (bit - 1)) === 0)).toBe(true);
    for (const { step, handler } of NEGOTIABLE) {
      expect(STEP_NAMES[step]).toBe(handler === 'hello' ? 'helo' : handler);
    }
  });

  /** @contract 16 */
  it('there are seven macro stages', () => {
    expect(Object.fromEntries(SYMLIST_STAGES)).toStrictEqual({
      connect: Milter.M_CONNECT,
      hello: Milter.M_HELO,
      envfrom: Milter.M_ENVFROM,
      envrcpt: Milter.M_ENVRCPT,
      data: Milter.M_DATA,
      eoh: Milter.M_EOH,
      eom: Milter.M_EOM,
    });
  });
});
