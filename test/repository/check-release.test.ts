/** What `npm publish` is refused for (scripts/check-release.js, docs/releasing.md). */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';

const MANIFEST = {
  version: '1.2.3',
  repository: 'git+https://git.example/tsmilter.git',
  bugs: 'https://git.example/tsmilter/issues',
  homepage: 'https://git.example/tsmilter',
};
const CHANGELOG = '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n';

describe('check-release', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsmilter-release-'));
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Commits these files and runs the check on them. */
  function check(files: Partial<Record<'package.json' | 'package-lock.json' | 'CHANGELOG.md', string>> = {}) {
    const complete = {
      'package.json': JSON.stringify(MANIFEST),
      'package-lock.json': JSON.stringify({ version: MANIFEST.version }),
      'CHANGELOG.md': CHANGELOG,
      ...files,
    };
    for (const [name, text] of Object.entries(complete)) writeFileSync(join(folder, name), text);
    const author = ['-c', 'user.name=test', '-c', 'user.email=test@example.com'];
    execFileSync('git', ['add', '.'], { cwd: folder });
    execFileSync('git', [...author, 'commit', '--quiet', '--message', 'test'], { cwd: folder });
    return run();
  }

  function run() {
    const script = join(projectRoot, 'scripts/check-release.js');
    const { status, stderr } = spawnSync(process.execPath, [script, folder], { encoding: 'utf8' });
    return { status, problems: stderr.match(/(?<=^- ).*/gm) ?? [] };
  }

  it('accepts a version that is complete', () => {
    expect(check()).toStrictEqual({ status: 0, problems: [] });
  });

  it("requires the project's addresses", () => {
    const { status, problems } = check({ 'package.json': '{ "version": "1.2.3" }' });
    expect(status).toBe(1);
    expect(problems).toStrictEqual([
      'package.json has no "repository"',
      'package.json has no "bugs"',
      'package.json has no "homepage"',
    ]);
  });

  it('requires the same version in package-lock.json', () => {
    expect(check({ 'package-lock.json': '{ "version": "1.2.2" }' })).toStrictEqual({
      status: 1,
      problems: ['package-lock.json is of version 1.2.2, package.json of 1.2.3'],
    });
  });

  it.each([
    ['that has no section', CHANGELOG.replace('1.2.3', '1.2.2')],
    ['that has no date', CHANGELOG.replace('2026-01-31', 'unreleased')],
  ])('wants a changelog: not one %s', (_, changelog) => {
    expect(check({ 'CHANGELOG.md': changelog })).toStrictEqual({
      status: 1,
      problems: ['CHANGELOG.md has no section "## [1.2.3] - YYYY-MM-DD"'],
    });
  });

  it('requires everything to be committed', () => {
    check();
    writeFileSync(join(folder, 'new.js'), '');
    expect(run()).toStrictEqual({ status: 1, problems: ['there are uncommitted changes:'] });
  });
});
