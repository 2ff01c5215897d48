/**
 * The documentation: every code block in README.md and docs/*.md is compiled and run, every link leads somewhere, and
 * every error code is explained.
 *
 * A block that listens on `unix:/run/...` is a filter: it gets a socket in a temporary folder in its place, two SMTP
 * sessions, and SIGTERM. So does a block that exports a filter class without running it. Every other block must run to
 * its end. An excerpt (`typescript` rather than `ts`) continues the page's block before it, and is compiled with it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { projectRoot } from '../../tools/project-root';
import { anchorsOf, type Block, linksOf, placeOf, readPages } from '../support/docs/pages';
import { runFilter, runToEnd } from '../support/docs/run';
import { type Program, Workshop } from '../support/docs/workshop';
import { expectThat } from '../support/expect';

const pages = readPages();
const blocks = pages.flatMap((page) => page.blocks);
const inLanguage = (...languages: string[]): Block[] =>
  blocks.filter(({ language }) => languages.includes(language));

const CONFIGURATION = ['dockerfile', 'ini', 'm4', 'yaml'];
/** Run by test/mta/guard-hosts.test.ts. */
const HAPROXY = 'haproxy';
/** What a command prints. */
const OUTPUT = 'text';

describe('blocks of the documentation', () => {
  const known = (language: string) =>
    Workshop.compiles(language) || ['sh', 'json', HAPROXY, OUTPUT, ...CONFIGURATION].includes(language);

  it('are in a language that this file tests', () => {
    const unknown = blocks.filter(({ language }) => !known(language));
    expect(unknown.map((block) => `${placeOf(block)}: '${block.language}'`)).toStrictEqual([]);
  });
});

const workshop = new Workshop();
// Not in the group: its hooks do not run where none of its tests does.
afterAll(() => workshop.remove());

describe('programs in the documentation', () => {
  let problems: string[] = [];

  const programs = blocks.filter(({ language }) => Workshop.compiles(language));
  const isExcerpt = ({ language }: Block) => language === 'typescript';
  for (const block of programs) workshop.add(block, isExcerpt(block) ? blockBefore(block) : undefined);

  beforeAll(() => {
    problems = workshop.compile();
  });

  it('compile', () => expect(problems).toStrictEqual([]));

  for (const block of programs.filter((block) => !isExcerpt(block))) {
    it(`${placeOf(block)} runs`, () => run(workshop.programs.get(block) as Program));
  }

  async function run(program: Program): Promise<void> {
    const { text } = program.block;
    const exportsFilter = /\bextends Milter\.Base\b/.test(text) && !/\brunmilter\(/.test(text);
    if (program.socket) await runFilter(program, program.socket);
    else if (exportsFilter) await runFilter(program, `unix:${program.file}.sock`);
    else await runToEnd(program);
  }
});

/** The program of the same page that an excerpt continues. */
function blockBefore(excerpt: Block): Block {
  const found = inLanguage('ts')
    .filter(({ page, line }) => page === excerpt.page && line < excerpt.line)
    .at(-1);
  if (!found) throw new Error(`${placeOf(excerpt)}: an excerpt needs a ts block before it`);
  return found;
}

describe('shell commands in the documentation', () => {
  for (const block of inLanguage('sh')) {
    it(`${placeOf(block)} is bash`, () => {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' });
      expectThat(status, stderr).toBe(0);
    });
  }

  it('name scripts that exist', () => {
    const scripts = inLanguage('sh').flatMap(({ text }) => text.match(/^scripts\/[\w-]+/gm) ?? []);
    expect(scripts.filter((script) => !existsSync(join(projectRoot, script)))).toStrictEqual([]);
  });
});

describe('data in the documentation', () => {
  for (const block of inLanguage('json')) {
    it(`${placeOf(block)} is JSON`, () => {
      expect(() => JSON.parse(block.text)).not.toThrow();
    });
  }
});

describe('configuration in the documentation', () => {
  /** Comments, sections of unit files, `name = value` of main.cf, `Name=value` of unit files. */
  const INI = /^(?:#.*|\[\w+\]|[a-z][\w-]+ = \S.*|[A-Z]\w+=\S.*|)$/;
  /** As tools/mta/sendmail.ts has it. */
  const M4 = /^INPUT_MAIL_FILTER\(`\w+', `S=(?:local|inet6?):[^,\s]+(?:, [FT]=[^,\s]+)*'\)dnl$/;

  /** Prometheus's and Docker Compose's: nested keys, and lists of them. */
  const YAML = /^ *(?:- )?[a-z_]+:(?: \S.*)?$/;

  /** Instructions, and the lines that continue one after a backslash. */
  const DOCKERFILE =
    /^(?:(?:FROM|RUN|WORKDIR|COPY|USER|EXPOSE) \S.*|HEALTHCHECK --\S.*|CMD \[".*"\]| {2}(?:&& \S.*|CMD \[".*"\])|)$/;

  for (const block of inLanguage(...CONFIGURATION)) {
    it(`${placeOf(block)} is well-formed`, () => {
      const form = { dockerfile: DOCKERFILE, m4: M4, yaml: YAML }[block.language] ?? INI;
      for (const line of block.text.trimEnd().split('\n')) expect(line).toMatch(form);
    });
  }
});

describe('links in the documentation', () => {
  const byPath = new Map(pages.map((page) => [page.path, page]));

  for (const page of pages) {
    it(`${page.path}: all of them lead to an existing target`, () => {
      const broken = linksOf(page).filter(
        (link) => !/^https?:/.test(link) && !leadsSomewhere(page.path, link),
      );
      expect(broken).toStrictEqual([]);
    });
  }

  function leadsSomewhere(from: string, link: string): boolean {
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? from : join(from, '..', file);
    if (!existsSync(join(projectRoot, target))) return false;
    if (anchor === undefined) return true;
    const page = byPath.get(target);
    return page !== undefined && anchorsOf(page).has(anchor);
  }
});

describe('error codes in the documentation', () => {
  const CODE = /\bE[A-Z]{3,}\b|\bERR_MILTER_[A-Z_]+/g;
  const codesIn = (text: string) => new Set(text.match(CODE) ?? []);
  const source = readFileSync(join(projectRoot, 'lib/internal/errors.ts'), 'utf8');
  const codes = new Set(Array.from(source.matchAll(/^ {2}\| '(\w+)'/gm), ([, code = '']) => code));
  const explained = codesIn(pages.find(({ path }) => path === 'docs/errors.md')?.text ?? '');

  it('docs/errors.md explains every code', () => {
    expect([...codes].filter((code) => !explained.has(code))).toStrictEqual([]);
  });

  it('no page names a code that does not exist', () => {
    const unknown = pages.flatMap(({ path, text }) =>
      [...codesIn(text)]
        .filter((code) => /^ERR_/.test(code) && !codes.has(code))
        .map((code) => `${path}: ${code}`),
    );
    expect(unknown).toStrictEqual([]);
  });
});
