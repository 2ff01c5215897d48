/** examples/guard: its configuration, its documentation, and what test/mta/guard.test.ts cannot show. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { optionsOf, readConfig } from '../../examples/guard/config';
import { describeOptions } from '../../examples/guard/describe';
import { FRAME } from '../../examples/guard/frame-options';
import { LiveConfig } from '../../examples/guard/live-config';
import type { Options, ReadContext } from '../../examples/guard/options';
import { Resources } from '../../examples/guard/resources';
import { MODES, STEPS } from '../../examples/guard/rule';
import { rules } from '../../examples/guard/rules';
import { shown, shownAll } from '../../examples/guard/shown';
import { State } from '../../examples/guard/state';
import { wordIn, words } from '../../examples/guard/words';
import { privateDirectory } from '../../tools/private-directory';
import { projectRoot } from '../../tools/project-root';
import { errorWith } from '../support/expect';

const root = join(projectRoot, 'examples/guard');
let directory: string;
beforeAll(() => {
  directory = privateDirectory('guard');
});
afterAll(() => rmSync(directory, { recursive: true }));

const MINIMAL = '[milter]\nsocketname = s\nstate = sqlite:state\n';

const OPTIONS_OF_BMS = [
  ...[
    'internal_connect',
    'trusted_relay',
    'hello_blacklist',
    'internal_domains',
    'internal_mta',
    'banned_users',
  ],
  ...['access_file', 'whitelist_senders', 'check_user', 'private_relay', 'max_demerits', 'honeypot'],
  ...[
    'porn_words',
    'spam_words',
    'from_words',
    'block_chinese',
    'block_forward',
    'hide_path',
    'supply_sender',
  ],
  ...['banned_exts', 'scan_zip', 'scan_rfc822', 'scan_html', 'reject_virus_from'],
  ...['wiretap', 'smart_alias', 'mail_archive', 'datadir', 'tempdir'],
];

/** The options of a section, also those that are commented out. */
function optionsIn(sample: string, section: string): string[] {
  const [, text = ''] = new RegExp(`^\\[${section}\\]\\n((?:(?!\\[).*\\n)*)`, 'm').exec(sample) ?? [];
  return [...text.matchAll(/^;?(\w+) = /gm)].map(([, option = '']) => option);
}

async function configOf(text: string) {
  const file = join(directory, 'guard.cfg');
  writeFileSync(file, text);
  const config = await readConfig(file, rules, () => {});
  await config.resources.release();
  return config;
}

describe('the rules', () => {
  it('stand in the directory of their step, in the order of the steps', () => {
    const steps = rules.map(({ step }) => STEPS.indexOf(step));
    expect(steps).toStrictEqual(steps.toSorted((a, b) => a - b));
    const files = readdirSync(join(root, 'rules'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'index.ts')
      .map(({ parentPath, name }) => {
        const step = /(?:\d-)?(\w+)$/.exec(parentPath)?.[1];
        return `${step} ${name.replace(/\.ts$/, '').replaceAll('-', '_')}`;
      });
    expect(rules.map(({ step, name }) => `${step} ${name}`).toSorted()).toStrictEqual(files.toSorted());
  });

  it('have names and options that the configuration can tell apart', () => {
    const names = [...Object.keys(FRAME), ...rules.map(({ name }) => name)];
    expect(new Set(names).size).toBe(names.length);
    for (const rule of rules) {
      expect(rule.name).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
      for (const common of ['mode', 'log_tag', 'clients', 'subject'])
        expect(rule.options).not.toHaveProperty(common);
    }
  });
});

describe('the documentation', () => {
  it('has the options as the rules declare them', () => {
    const page = readFileSync(join(projectRoot, 'docs/guard.md'), 'utf8');
    const [, options] = /<!-- options: [^\n]* -->\n([\s\S]*)<!-- end of options -->/.exec(page) ?? [];
    expect(options?.trim()).toBe(describeOptions(rules).trim());
  });

  it('names for each option of bms.py one that the sample configuration has', () => {
    const page = readFileSync(join(projectRoot, 'docs/moving-from-bms.md'), 'utf8');
    const old = [...page.matchAll(/^\| ([^|]*) \|/gm)].map(([, cell]) => cell).join();
    expect(OPTIONS_OF_BMS.filter((option) => !old.includes(`\`${option}\``))).toStrictEqual([]);

    const sample = readFileSync(join(root, 'guard.cfg'), 'utf8');
    const has = (section: string, option = 'mode') => optionsIn(sample, section).includes(option);
    const named = [...page.matchAll(/`\[(\w+)\](?: (\w+))?`/g)];
    expect(named.length).toBeGreaterThan(50);
    const missing = named.filter(([, section = '', option]) => !has(section, option));
    expect(missing.map(([text]) => text)).toStrictEqual([]);
  });

  it('the sample configuration is valid, has every option, and what is commented out in it is valid too', async () => {
    const sample = readFileSync(join(root, 'guard.cfg'), 'utf8').replace('/var/lib/guard', 'state');
    const config = await configOf(sample);
    expect(config.milter.dry_run).toBe(true);
    const sections = [...sample.matchAll(/^\[(\w+)\]$/gm)].map(([, name]) => name);
    expect(sections).toStrictEqual([...Object.keys(FRAME), ...rules.map(({ name }) => name)]);
    const known = [
      ...Object.entries<Options>(FRAME),
      ...rules.map((rule) => [rule.name, rule.options] as const),
    ];
    for (const [section, options] of known)
      expect(
        Object.keys(options).filter((option) => !optionsIn(sample, section).includes(option)),
      ).toStrictEqual([]);
    for (const [, name, value] of sample.matchAll(/^;(\w+) = (.*)$/gm)) {
      const owner = rules.find((rule) => Object.hasOwn(rule.options, name as string));
      const options = owner ? optionsOf(owner) : Object.assign({}, ...Object.values(FRAME));
      expect(options).toHaveProperty([name as string]);
      expect(value).not.toBe('');
    }
  });
});

describe('the configuration', () => {
  it('has everything off by default', async () => {
    const config = await configOf(MINIMAL);
    expect(config.rules).toStrictEqual([]);
    expect(config.milter.name).toBe('guard');
  });

  it.each(MODES.filter((mode) => mode !== 'off'))('mode %s for all rules at once', async (mode) => {
    const config = await configOf(`[DEFAULT]\nmode = ${mode}\n${MINIMAL}`);
    expect(config.rules.map(({ name }) => name)).toStrictEqual(rules.map(({ name }) => name));
    expect(new Set(config.rules.map((rule) => rule.mode))).toStrictEqual(new Set([mode]));
  });

  const broken: [text: string, message: RegExp][] = [
    ['', /guard\.cfg: \[milter\] socketname: is missing; set it to/],
    ['[milter]\nname = x\n', /guard\.cfg:1: \[milter\] socketname: is missing/],
    [`${MINIMAL}umask = 9\n`, /guard\.cfg:4: \[milter\] umask: 9 is not an octal/],
    [`${MINIMAL}dry_run = perhaps\n`, /guard\.cfg:4: \[milter\] dry_run: perhaps is neither yes nor no/],
    [
      `${MINIMAL}untrapped_exception = x\n`,
      /guard\.cfg:4: .*x is not one of tempfail, reject, continue, accept/,
    ],
    ['[milter]\nsocketname = s\nstate = mysql:x\n', /guard\.cfg:3: \[milter\] state: must be sqlite:/],
    [`${MINIMAL}[clients]\ninternal_connect = 192.0.2\n`, /guard\.cfg:5: \[clients\] internal_connect: /],
    [
      `${MINIMAL}[greylist]\n\ndelay = soon\n`,
      /guard\.cfg:6: \[greylist\] delay: soon is not a number from 0 to 86400/,
    ],
    [`${MINIMAL}[greylist]\ndelay = 99999\n`, /guard\.cfg:5: .*99999 is not a number/],
    [
      `${MINIMAL}[greylist]\nclients = internal, nobody\n`,
      /guard\.cfg:5: .*nobody is not one of internal, relay/,
    ],
    [`${MINIMAL}[banned_ips]\nnetworks = file:none\n`, /guard\.cfg:5: \[banned_ips\] networks: .*none/],
    [
      `${MINIMAL}[dnsbl]\nmode = tag\nlists = zen.example zap\n`,
      /guard\.cfg:6: \[dnsbl\] lists: zen\.example zap is not/,
    ],
    ...['https://bl.test', '*.bl.test', 'bl_test..x/'].map((zone): [string, RegExp] => [
      `${MINIMAL}[dnsbl]\nlists = ok.example, ${zone}\n`,
      /guard\.cfg:5: \[dnsbl\] lists: .* is not a zone/,
    ]),
    ...['a@ours.test; c@ours.test', 'a@ours.test.., b@x', '"a"@ours.test', 'a@ours.test\u0007'].map(
      (copies): [string, RegExp] => [
        `${MINIMAL}[blind_copy]\ncopy_to = ${copies}\n`,
        /guard\.cfg:5: \[blind_copy\] copy_to: a?.*@ours\.test.* is not an address/,
      ],
    ),
    [
      `${MINIMAL}[smart_alias]\naliases = a@b.test c@d.test: e@f.test;\n`,
      /guard\.cfg:5: \[smart_alias\] aliases: e@f\.test; is not an address/,
    ],
    [
      `${MINIMAL}[subject_words]\nmode = tag\nwords = casino, \u200b, lottery\n`,
      /guard\.cfg:6: \[subject_words\] words: "\\\\u200b" has no character that can be seen/,
    ],
    [`[DEFAULT]\nmdoe = reject\n${MINIMAL}`, /guard\.cfg:2: \[DEFAULT\] mdoe is unknown; known are /],
    [
      `${MINIMAL}[greylist]\nsubject = 100% spam\n`,
      /^[^\n]*guard\.cfg:5: \[greylist\] subject: write %% for %/,
    ],
    [
      '[milter]\nsocketname = s\nstate = redis://u:p%40ss@h\n',
      /guard\.cfg:3: \[milter\] state: write %% for %/,
    ],
    [`${MINIMAL}[dns]\nnameservers = nowhere\n`, /guard\.cfg:5: \[dns\] nameservers: /],
    [`${MINIMAL}[greylist]\nsubject = a\n  b\n`, /guard\.cfg:5: \[greylist\] subject: must be one line/],
    [`${MINIMAL}[greylist]\nmod = off\n`, /guard\.cfg:5: \[greylist\] mod is unknown; did you mean mode\?/],
    [`${MINIMAL}[graylist]\n`, /guard\.cfg:4: \[graylist\] is unknown; did you mean greylist\?/],
    [`${MINIMAL}[zzzzzzzz]\n`, /guard\.cfg:4: \[zzzzzzzz\] is unknown; known are milter, clients, /],
  ];
  it.each(broken)('refuses %j', async (text, message) => {
    await expect(configOf(text)).rejects.toThrow(errorWith({ message }));
  });

  it('refuses an archive to which no message could be appended', async () => {
    for (const [name, message] of [
      ['folder', /EISDIR/],
      ['public', /chmod 0600/],
    ] as const) {
      if (name === 'folder') mkdirSync(join(directory, name));
      else writeFileSync(join(directory, name), '', { mode: 0o644 });
      await expect(configOf(`${MINIMAL}[archive]\nmode = tag\nfile = ${name}\n`)).rejects.toThrow(message);
    }
  });

  it.each([
    ['Subject: x\nno empty line\n', /has no empty line between its headers and its text/],
    ['Subject: x\n\n100% sure\n', /a % in the template is neither %\(name\)s nor %%/],
    ['Subject: x\n\n%(because)s\n', /uses %\(because\)s/],
  ])('refuses the template of a notice %j', async (template, message) => {
    writeFileSync(join(directory, 'notice'), template);
    await expect(configOf(`${MINIMAL}[callback]\ntemplate = notice\n`)).rejects.toThrow(
      errorWith({ message: new RegExp(`guard\\.cfg:5: \\[callback\\] template: .*${message.source}`) }),
    );
  });

  it('refuses a record of SPF that is none, with the line of its file', async () => {
    writeFileSync(join(directory, 'records'), '# ours\nexample.com v=spf1 -all\nexample.org spf\n');
    await expect(configOf(`${MINIMAL}[authentication]\nsubstitutes = records\n`)).rejects.toThrow(
      errorWith({
        message: /guard\.cfg:5: .*records:3: "example\.org spf" is not a domain and its SPF record/,
      }),
    );
  });
});

describe('words', () => {
  const isIn = async (text: string, list: string) =>
    wordIn(text, await words('').read(list, {} as ReadContext));

  it('stand by themselves, in any letter case and behind marks that nobody sees', async () => {
    expect(await isIn('Your LOT\u200bTERY ticket', 'casino, Lottery')).toBe('Lottery');
    expect(await isIn('Your lottery', 'casino, \u200blottery')).toBe('\u200blottery');
    expect(await isIn('lotteries', 'lottery, lotterie')).toBeNull();
  });
});

describe('text of clients', () => {
  it('stays in its quotes and in its line', () => {
    expect(shown('a"b\\c\nd')).toBe(String.raw`"a\"b\\c\\nd"`);
    expect(shown('x'.repeat(1000)).length).toBeLessThan(210);
  });

  it('is not longer for many names', () => {
    expect(shownAll(['a', 'b'])).toBe('"a", "b"');
    expect(shownAll(Array(1000).fill('x'))).toBe('"x", "x", "x", "x", "x" and 995 more');
  });
});

describe('the state', () => {
  it('is in files that nobody else may read', async () => {
    const resources = new Resources();
    new State({ kind: 'sqlite', where: directory }, resources, () => {}).addresses();
    const files = readdirSync(directory).filter((each) => each.startsWith('addresses.db'));
    expect(files).toContain('addresses.db');
    for (const name of files) expect((statSync(join(directory, name)).mode & 0o777).toString(8)).toBe('600');
    await resources.release();
  });
});

describe('a new configuration', () => {
  it('is in use even if what the old one had open cannot be closed', async () => {
    const file = join(directory, 'live.cfg');
    writeFileSync(file, MINIMAL);
    const reports: string[] = [];
    const live = await LiveConfig.open(file, rules, (message) => reports.push(message));
    live.current.resources.add(() => {
      throw new Error('it is stuck');
    });
    writeFileSync(file, `[milter]\nname = new\n${MINIMAL.replace('[milter]\n', '')}`);
    await live.reload('test');
    expect(live.current.milter.name).toBe('new');
    expect(reports).toStrictEqual([
      'CONFIG was read again: test',
      'CONFIG what the old one used cannot be closed: it is stuck',
    ]);
    await live.close();
  });
});
