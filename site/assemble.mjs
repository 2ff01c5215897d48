/**
 * Writes the Markdown that VitePress builds the site from to site/.pages/: node site/assemble.mjs, after
 * scripts/generate-docs. VitePress takes pages from one folder only, and a link that leaves it would lead nowhere.
 */
import fs from 'node:fs';
import path from 'node:path';
import { chartsOf } from './charts.mjs';
import { readPages } from './pages.mjs';

const here = import.meta.dirname;
const target = path.join(here, '.pages');

function write(name, content) {
  const file = path.join(target, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
}

/** The first page: site/home.md, with the filter of the README, which the tests run, and one of the charts. */
function homePage() {
  const read = (name) => fs.readFileSync(path.join(here, name), 'utf8');
  const [filter] = /^```ts\n[\s\S]*?^```$/m.exec(read('../README.md'));
  const chart = chartsOf(read('../docs/performance.md')).find(
    ({ heading }) => heading === '8 connections, 15 headers, 4 KiB',
  );
  const parts = { filter, flow: read('message-flow.svg').trim(), chart: chart.html };
  return read('home.md').replace(/<!-- (filter|flow|chart) -->/g, (_, name) => parts[name]);
}

const { texts, downloads } = readPages();
if (!texts.has('api/index.md')) throw new Error('docs/api is missing: run scripts/generate-docs first');
fs.rmSync(target, { recursive: true, force: true });
for (const [name, text] of texts) write(name, text);
for (const [name, data] of downloads) write(path.join('public', name), data);
write('index.md', homePage());
console.log(`site/.pages: ${texts.size + 1} pages, ${downloads.size} downloads`);
