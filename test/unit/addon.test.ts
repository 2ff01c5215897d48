/** Loading the addon: one that was built from another table of steps, actions or messages is refused. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HEADER_CONSTANTS } from '#lib/addon/constants.js';
import { ActionKind, Interruption, MessageKind, StartResult } from '#lib/addon/kinds.js';
import { MESSAGE_LAYOUT } from '#lib/addon/native.js';
import { STEP_NAMES } from '#lib/addon/steps.js';
import { projectRoot } from '../../tools/project-root.js';

const protocol: Record<string, readonly string[]> = {
  steps: STEP_NAMES,
  actions: Object.keys(ActionKind),
  messages: Object.keys(MessageKind),
  startResults: Object.keys(StartResult),
  interruptions: Object.keys(Interruption),
};

const same = { constants: HEADER_CONSTANTS, messageLayout: MESSAGE_LAYOUT, protocol };

describe('an addon', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsmilter-addon-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** Loads a stand-in for the addon in a process of its own, and returns `loaded` or the error. */
  function load(addon: object): string {
    const file = join(directory, 'addon.js');
    writeFileSync(file, `module.exports = { ...${JSON.stringify(addon)}, version: () => [8, 17, 1] };`);
    const script =
      "try { require('tsmilter/lowlevel').version(); console.log('loaded'); }" +
      ' catch (error) { console.log(error.code, error.message); }';
    const { stdout } = spawnSync(process.execPath, ['-e', script], {
      cwd: projectRoot,
      env: { ...process.env, MILTER_ADDON: file },
      encoding: 'utf8',
    });
    return stdout.trim();
  }

  it('built from the same tables is loaded', () => {
    expect(load(same)).toBe('loaded');
  });

  for (const list of Object.keys(protocol)) {
    const names = protocol[list] as readonly string[];
    for (const [what, other] of [
      ['one name more', [...names, 'extra']],
      ['one name less', names.slice(0, -1)],
      ['another order', [...names].reverse()],
      ['no such list', undefined],
    ] as const) {
      it(`with ${what} in ${list} is refused`, () => {
        const answer = load({ ...same, protocol: { ...protocol, [list]: other } });
        expect(answer).toMatch(new RegExp(`^ERR_MILTER_ADDON .*\\(${list}\\)`));
      });
    }
  }

  it('without any table is refused', () => {
    expect(load({ ...same, protocol: undefined })).toMatch(/^ERR_MILTER_ADDON /);
  });

  it('with another constant is refused', () => {
    const constants = { ...HEADER_CONSTANTS, SMFIS_SKIP: 99 };
    expect(load({ ...same, constants })).toMatch(/^ERR_MILTER_ADDON .*\(SMFIS_SKIP\)/);
  });

  it('that delivers messages in another way is refused', () => {
    for (const messageLayout of [MESSAGE_LAYOUT - 1, undefined]) {
      expect(load({ ...same, messageLayout })).toMatch(/^ERR_MILTER_ADDON .*\(messageLayout\)/);
    }
  });
});
