/**
 * The pages of the site, made of the project's own files: docs/ with the API reference, the pages of the root folder, and
 * each file that one of them links to, such as an example, as a page that shows it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { withCharts } from './charts.mjs';

const root = path.join(import.meta.dirname, '..');

/** The pages of the root folder, and what they are called on the site: docs/ has a security.md of its own. */
const ROOT_PAGES = {
  'README.md': 'readme.md',
  'CHANGELOG.md': 'changelog.md',
  'CONTRIBUTING.md': 'contributing.md',
  'SECURITY.md': 'security-policy.md',
  'UPGRADING.md': 'upgrading.md',
};

/** How a file that is not Markdown is highlighted, by its extension. */
const LANGUAGES = { '.ts': 'ts', '.js': 'js', '.cfg': 'ini', '.service': 'ini', '.socket': 'ini' };

/** Data, which is served as it is. */
const DOWNLOADS = new Set(['.json']);

/** Languages of code blocks that the highlighter knows by another name, or not at all. */
const HIGHLIGHTED_AS = { cjs: 'js', mjs: 'js', m4: 'text' };

const FENCED = /^([ \t]*)(`{3,})[^\n]*\n[\s\S]*?^\1\2`*[ \t]*$/gm;
const LINK = /\]\(([^)\s]+)\)/g;

const highlightable = (block) =>
  block.replace(/^([ \t]*`+)(\w+)/, (_, fence, language) => fence + (HIGHLIGHTED_AS[language] ?? language));

/** Calls `change` with each part of a page that is text, and keeps its code blocks. */
function mapText(markdown, change) {
  let result = '';
  let end = 0;
  for (const { 0: block, index } of markdown.matchAll(FENCED)) {
    result += change(markdown.slice(end, index)) + highlightable(block);
    end = index + block.length;
  }
  return result + change(markdown.slice(end));
}

/** Where a file of the project is on the site. @returns a path from the site's root, without a slash before it */
export function pageOf(file) {
  if (file in ROOT_PAGES) return ROOT_PAGES[file];
  const inDocs = path.relative('docs', file);
  const page = inDocs.startsWith('..') ? file : inDocs;
  if (page.endsWith('README.md')) return page.replace(/README\.md$/, 'index.md');
  return page.endsWith('.md') ? page : `${page}.md`;
}

/** A fence that the text does not contain. */
function fenced(text, language) {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.trimEnd()}\n${fence}\n`;
}

function filesBelow(folder) {
  return fs
    .readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

/** The page of a file that is not Markdown, or of a folder of such files. */
function sourcePage(file) {
  const isFolder = fs.statSync(path.join(root, file)).isDirectory();
  const listed = isFolder ? filesBelow(file) : [file];
  const shown = listed.map((name) => {
    const text = fs.readFileSync(path.join(root, name), 'utf8');
    const heading = isFolder ? `\n## ${path.relative(file, name)}\n\n` : '';
    return heading + fenced(text, LANGUAGES[path.extname(name)] ?? 'text');
  });
  return `# ${file}\n\n${shown.join('')}`;
}

/** All pages, and the files that are served as they are; both by their path on the site. */
class Pages {
  texts = new Map();
  downloads = new Map();
  #queue = [];
  #known = new Set();

  constructor() {
    for (const file of Object.keys(ROOT_PAGES)) this.#want(file);
    for (const file of filesBelow('docs')) if (file.endsWith('.md')) this.#want(file);
    for (let file = this.#queue.shift(); file !== undefined; file = this.#queue.shift()) this.#add(file);
  }

  #want(file) {
    if (this.#known.has(file)) return;
    this.#known.add(file);
    this.#queue.push(file);
  }

  #add(file) {
    const page = pageOf(file);
    if (this.texts.has(page)) throw new Error(`${file} is not the only file whose page would be ${page}`);
    this.texts.set(page, file.endsWith('.md') ? this.#linked(file) : sourcePage(file));
  }

  /** A Markdown file with its links as they are on the site. */
  #linked(file) {
    const markdown = fs.readFileSync(path.join(root, file), 'utf8');
    const linked = mapText(markdown, (text) =>
      text.replace(LINK, (_, link) => `](${this.#link(file, link)})`),
    );
    return file === 'docs/performance.md' ? withCharts(linked) : linked;
  }

  /** A link as it is on the site. Whatever it leads to becomes a page. */
  #link(from, link) {
    if (/^[a-z]+:/.test(link) || link.startsWith('#')) return link;
    const [target, anchor] = link.split('#');
    const file = path.join(path.dirname(from), target).replace(/\/$/, '');
    if (file.startsWith('..') || !fs.existsSync(path.join(root, file)))
      throw new Error(`${from} links to ${link}, which does not exist`);
    if (DOWNLOADS.has(path.extname(file))) {
      this.downloads.set(file, fs.readFileSync(path.join(root, file)));
      return `/${file}`;
    }
    this.#want(file);
    return `/${pageOf(file)}${anchor === undefined ? '' : `#${anchor}`}`;
  }
}

export const readPages = () => new Pages();
