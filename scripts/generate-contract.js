#!/usr/bin/env node
'use strict';
/**
 * Writes docs/contract.md: what users of pymilter rely on, line by line, and the test files that hold it. A test, or a
 * group of tests, says which lines it holds in a tag above it:
 *
 *     /** @contract 20, 21 *\/
 *     it('feeds a message through a filter', ...)
 *
 *     node scripts/generate-contract.js            # writes the page; a line without a test is named on stderr
 *     node scripts/generate-contract.js --check    # exit code 1 where the page is stale, or a line has no test
 */
const fs = require('node:fs');
const path = require('node:path');
const ts = require('typescript');

const root = path.join(__dirname, '..');
const page = path.join(root, 'docs', 'contract.md');

/** The lines, in short; `*` marks what is meant to differ from pymilter, or to be better. */
const LINES = [
  'One filter object per session, made at negotiate, or at connect without it; the factory is asked anew each time.',
  'The shapes of hostaddr by family; host names unchanged.',
  'Envelope arguments and header values are strings, body chunks Buffers.',
  'close once per object, after abort, also after errors; then "bad context". * abort and close may fail.',
  'setpriv returns the old value; the counters of getdiag agree when nothing is connected.',
  'lowlevel: setting a callback returns the one it replaces; null unsets.',
  'A second main() while one runs: "milter module in use"; * after it has ended: an error with a code.',
  'A stale socket is removed, * one that answers is not; timeout counts where it is above 0.',
  'Errors and wrong answers follow the exception policy, with its reply; * the stack is told.',
  'setreply: 4xx and 5xx, no lone %, up to 32 lines; * the text may be null.',
  '@noreply and @nocallback: where they may stand, and what their methods may answer.',
  'Overriding a @nocallback method turns it on; * the mask is of the class itself.',
  'What is negotiated: offered and not masked; an error in negotiate leaves the offer as it is.',
  'Without its right an action throws DisabledAction.',
  'addheader appends, or inserts at an index; chgheader with null or nothing deletes.',
  'Symbol lists: 5 macros, seven stages, once per stage, in negotiate only.',
  '@decode: five policies, per handler.',
  'uniqueID, param2dict, dictfromlist, envcallback.',
  'The class Milter logs each step; six of its callbacks are without reply.',
  "TestCtx feeds a message through a filter in libmilter's order, up to the verdict that ends it.",
  'TestCtx: macros of the stage, cut down by symbol lists; actions before eom throw.',
  'TestCtx records reply, * headers with indexes, body, recipients * with parameters, sender, * quarantine.',
  'mime: a message comes out as it went in; an edited part changes only itself.',
  'mime: all names of a part, decoded, * in ZIPs too, within limits.',
  'mime: dangerous extensions; defang leaves a warning in place of the part.',
  'mime: attached messages are walked, and their changes reach the outer one.',
  'mime: HTML loses its scripts, all else passes byte for byte.',
  'mime: broken multiparts are read.',
  'mime: changes of headers are announced.',
  'utils: iniplist takes CIDR, globs and host names; a bad address throws.',
  'utils: parseAddr, parseaddr, parseHeader.',
  'utils: isDynip, unsign.',
  'config: ini files with lists, address sets and files.',
  "policy: lookup order, separators, Sendmail's access map.",
  'cache and greylist: address cache with expiry, greylisting with grace.',
  'dsn and dns: call back of senders, notices from templates; loops and poison refused.',
];

function testFiles(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(file);
    return entry.name.endsWith('.ts') ? [file] : [];
  });
}

/** The text of each `@contract` tag in a file, and whether it stands above a test. */
function tagsIn(file) {
  const source = ts.createSourceFile(file, fs.readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const tags = [];
  const visit = (node) => {
    for (const tag of node.jsDoc?.flatMap(({ tags = [] }) => tags) ?? []) {
      if (tag.tagName.text === 'contract')
        tags.push({ text: ts.getTextOfJSDocComment(tag.comment) ?? '', above: node });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return tags.map(({ text, above }) => ({ text, ofTest: isTest(above) }));
}

/** `describe(…)`, `it(…)` or `test(…)`, or a form of them such as `itUnless(…)`, or a loop of nothing else. */
function isTest(node) {
  if (ts.isForOfStatement(node)) return isTest(node.statement);
  return (
    ts.isExpressionStatement(node) &&
    ts.isCallExpression(node.expression) &&
    /^(?:describe|it|test)\b|^(?:describe|it)Unless$/.test(node.expression.expression.getText())
  );
}

/** The files with tests of each line, in order. */
function filesByLine() {
  const lines = LINES.map(() => new Set());
  const wrong = [];
  for (const file of testFiles(path.join(root, 'test')).sort()) {
    const name = path.relative(path.join(root, 'test'), file).replaceAll(path.sep, '/');
    for (const { text, ofTest } of tagsIn(file)) {
      const numbers = text.split(',').map(Number);
      if (!ofTest) wrong.push(`test/${name}: @contract ${text} stands above no test`);
      else if (numbers.some((number) => !(number - 1 in lines)))
        wrong.push(
          `test/${name}: @contract ${text} names a line that there is not; there are ${LINES.length}`,
        );
      else for (const number of numbers) lines[number - 1].add(name);
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return lines;
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replace(/\s+/g, ' ');

function render(lines) {
  const rows = LINES.map((line, at) => {
    const files = [...lines[at]].map((file) => `\`${file}\``);
    return `| ${at + 1} | ${cell(line)} | ${files.join('<br>') || 'none yet'} |`;
  });
  return `# What users of pymilter rely on

The behaviours of pymilter 1.0.6 that filters and their authors count on, in short and in this package's spelling, each with the
tests that hold it. A \`*\` marks what differs on purpose, or had to be better. [pymilter.md](pymilter.md) is for those who come
from there.

Written by \`scripts/generate-contract.js\` from the tags \`@contract\` above the tests. The files are in \`test/\`.

| line | behaviour | tests |
|---|---|---|
${rows.join('\n')}
`;
}

const lines = filesByLine();
const text = render(lines);
const bare = LINES.flatMap((_, at) => (lines[at].size === 0 ? [at + 1] : []));
for (const number of bare) console.error(`contract line ${number} has no test: ${LINES[number - 1]}`);

if (process.argv.includes('--check')) {
  const stale = !fs.existsSync(page) || fs.readFileSync(page, 'utf8') !== text;
  if (stale) console.error('docs/contract.md is stale: run node scripts/generate-contract.js');
  process.exitCode = stale || bare.length > 0 ? 1 : 0;
} else {
  fs.writeFileSync(page, text);
}
