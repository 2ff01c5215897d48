/** The constants, their names here and in C, and the tables that are made of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as Milter from 'tsmilter';
import * as lowlevel from 'tsmilter/lowlevel';
import { Actions, Protocol } from 'tsmilter/testing';
import { HEADER_CONSTANTS } from '#lib/addon/constants.js';
import { NEGOTIABLE, STEP_NAMES, SYMLIST_STAGES } from '#lib/addon/steps.js';

const faces = Milter as unknown as Record<string, unknown>;

/** The name of a constant here, from C's. */
function nameOf(c: string): string {
  if (c.startsWith('SMFIP_')) return c.replace('SMFIP_', 'P_');
  if (c.startsWith('SMFIM_')) return c.replace('SMFIM_', 'M_');
  return c.replace(/^SMFI[A-Z]?_/, '');
}

describe('constants', () => {
  it('every C constant that is a status, a right, a stage or a protocol bit has its name in the face', () => {
    for (const [c, value] of Object.entries(HEADER_CONSTANTS)) {
      if (c === 'SMFIF_NONE') continue;
      assert.equal(faces[nameOf(c)], value, c);
    }
  });

  it('the values of the protocol, once written down here', () => {
    assert.deepEqual(
      [
        Milter.CONTINUE,
        Milter.REJECT,
        Milter.DISCARD,
        Milter.ACCEPT,
        Milter.TEMPFAIL,
        Milter.NOREPLY,
        Milter.SKIP,
      ],
      [0, 1, 2, 3, 4, 7, 8],
    );
    assert.equal(Milter.ALL_OPTS, 10);
    assert.equal(Milter.CURR_ACTS, 0x1ff);
    assert.equal(Milter.V2_ACTS, 0x3f);
  });

  it("tsmilter/testing, which has its own table, agrees with libmilter's header", () => {
    for (const [name, value] of Object.entries(Actions)) {
      if (name === 'ALL') assert.equal(value, HEADER_CONSTANTS.SMFI_CURR_ACTS);
      else if (name === 'V2') assert.equal(value, HEADER_CONSTANTS.SMFI_V2_ACTS);
      else assert.equal(value, (HEADER_CONSTANTS as Record<string, number>)[`SMFIF_${name}`], name);
    }
    for (const [name, value] of Object.entries(Protocol)) {
      if (name === 'ALL' || name === 'V2') continue;
      assert.equal(value, (HEADER_CONSTANTS as Record<string, number>)[`SMFIP_${name}`], name);
    }
  });

  it('every name of pymilter that has a place in both faces is in both', () => {
    for (const name of Object.keys(faces).filter((key) => /^[A-Z0-9_]+$/.test(key))) {
      assert.equal((lowlevel as unknown as Record<string, unknown>)[name], faces[name], name);
    }
  });

  it('families have the numbers of Linux', () => {
    assert.deepEqual([Milter.AF_UNSPEC, Milter.AF_UNIX, Milter.AF_INET, Milter.AF_INET6], [0, 1, 2, 10]);
  });

  it('each step that can be left out has bits of its own', () => {
    const bits = NEGOTIABLE.flatMap(({ no, nr }) => [no, nr]);
    assert.equal(new Set(bits).size, 18);
    assert.ok(bits.every((bit) => bit > 0 && (bit & (bit - 1)) === 0));
    for (const { step, handler } of NEGOTIABLE) {
      assert.equal(STEP_NAMES[step], handler === 'hello' ? 'helo' : handler);
    }
  });

  it('contract 16: seven stages', () => {
    assert.deepEqual(Object.fromEntries(SYMLIST_STAGES), {
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
