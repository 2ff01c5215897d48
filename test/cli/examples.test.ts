/** The command lines of the examples. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';

const EXAMPLES = ['sample', 'template', 'spfmilter', 'authmilter', 'guard'];

function run(example: string, ...args: string[]) {
  const script = join(projectRoot, '.build/examples', `${example}.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe.each(EXAMPLES)('%s', (example) => {
  const usage = `usage: ${example}.js `;

  it('has help, which is no error', () => {
    const help = run(example, '--help');
    expect(help).toMatchObject({ status: 0, stderr: '' });
    expect(help.stdout.startsWith(usage)).toBe(true);
    expect(run(example, '-h')).toStrictEqual(help);
  });

  it('refuses other options, and more arguments than it has', () => {
    const unknown = run(example, '--nope');
    expect(unknown).toMatchObject({ status: 1, stdout: '' });
    expect(unknown.stderr.startsWith(`${example}: Unknown option '--nope'\n${usage}`)).toBe(true);
    const many = run(example, 'one', 'two');
    expect(many).toMatchObject({ status: 1, stdout: '' });
    expect(many.stderr.startsWith(`${example}: ${usage}`)).toBe(true);
  });
});
