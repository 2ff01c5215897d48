/**
 * Opens every page of the built site in headless Chromium: node site/check.mjs, after scripts/build-site.
 *
 * It fails unless each page loads without an error in the console and without a request to another host, each link and
 * anchor leads somewhere, code is highlighted, charts are drawn, and the search finds what it should.
 */
import fs from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { findChromium } from './chromium.mjs';
import { serve } from './serve.mjs';

const dist = path.join(import.meta.dirname, '.vitepress', 'dist');

/** Pages that are open side by side. */
const TABS = 4;
/** For one page, in milliseconds: only what hangs takes so long. */
const PAGE_MS = 60_000;
/** For all of them. What is open is named then. */
const ALL_MS = 240_000;

/** A word, and a page that must be among those that the search finds for it. */
const SEARCH = { word: 'quarantine', page: '/actions.html' };
/** Languages that have nothing to highlight. */
const PLAIN = ['text', 'txt'];

/** The paths of all pages, as a browser asks for them. */
function builtPages() {
  return fs
    .readdirSync(dist, { recursive: true })
    .filter((file) => file.endsWith('.html') && file !== '404.html')
    .map((file) => `/${file.split(path.sep).join('/')}`)
    .sort();
}

/** What a page has, seen from inside; runs in the browser. */
function describePage(plain) {
  const area = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width * height;
  };
  const blocks = [...document.querySelectorAll('.vp-doc div[class*="language-"]')];
  const isPlain = (block) => plain.some((language) => block.classList.contains(`language-${language}`));
  return {
    ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
    links: [...document.querySelectorAll('a[href]')].map(({ href }) => href),
    notHighlighted: blocks
      .filter((block) => !isPlain(block) && block.querySelector('pre.shiki span[style*="--shiki"]') === null)
      .map((block) => block.textContent.slice(0, 60)),
    charts: [...document.querySelectorAll('.chart svg')].map((chart) => ({
      title: chart.getAttribute('aria-label'),
      drawn: [...chart.querySelectorAll('.bar')].filter((bar) => area(bar) > 0).length,
      bars: chart.querySelectorAll('.bar').length,
      area: area(chart),
    })),
    title: document.querySelector('h1')?.textContent ?? '',
  };
}

class SiteCheck {
  problems = [];
  /** What is known of each page, by its path. */
  #pages = new Map();
  #loading = new Set();
  #context;
  #origin;

  constructor(context, origin) {
    this.#context = context;
    this.#origin = origin;
  }

  get loading() {
    return [...this.#loading];
  }

  #problem(page, text) {
    this.problems.push(`${page}: ${text}`);
  }

  /** A tab that reports what goes wrong in it. Nothing leaves the loopback address. */
  async #openTab() {
    const tab = await this.#context.newPage();
    tab.setDefaultTimeout(PAGE_MS);
    const report = (text) => this.#problem(new URL(tab.url()).pathname, text);
    tab.on('pageerror', (error) => report(`error: ${error.message}`));
    tab.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) report(`console: ${message.text()}`);
    });
    tab.on('response', (response) => {
      if (response.status() >= 400) report(`${response.url()} answers ${response.status()}`);
    });
    await tab.route('**/*', (route) => {
      const { origin, protocol } = new URL(route.request().url());
      if (origin === this.#origin || protocol === 'data:') return route.continue();
      report(`asks for ${route.request().url()}`);
      return route.abort();
    });
    return tab;
  }

  async #open(tab, page) {
    try {
      await tab.goto(this.#origin + page);
      // Vue has taken the page over: an error in this would be missed before.
      await tab.waitForFunction(() => document.querySelector('#app')?.__vue_app__ !== undefined);
    } catch (error) {
      throw new Error(`${page} does not open: ${error.message}`);
    }
  }

  async openAll(pages) {
    const queue = [...pages];
    const lane = async () => {
      const tab = await this.#openTab();
      for (let page = queue.shift(); page !== undefined; page = queue.shift()) {
        this.#loading.add(page);
        await this.#open(tab, page);
        this.#add(page, await tab.evaluate(describePage, PLAIN));
        this.#loading.delete(page);
      }
      await tab.close();
    };
    await Promise.all(Array.from({ length: TABS }, lane));
  }

  #add(page, found) {
    this.#pages.set(page, found);
    if (found.title.trim() === '') this.#problem(page, 'has no title');
    for (const text of found.notHighlighted) this.#problem(page, `code is not highlighted: ${text}`);
    for (const { title, drawn, bars, area } of found.charts) {
      if (area === 0 || bars === 0 || drawn < bars)
        this.#problem(page, `${title}: ${drawn} of ${bars} bars are drawn`);
    }
  }

  /** The links among the pages, when all pages are known. */
  checkLinks() {
    for (const [page, { links }] of this.#pages) {
      for (const link of new Set(links)) {
        const { origin, pathname, hash } = new URL(link);
        if (origin !== this.#origin) continue;
        const file = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
        const target = this.#pages.get(file);
        if (target === undefined && !fs.existsSync(path.join(dist, decodeURIComponent(file))))
          this.#problem(page, `links to ${pathname}, which does not exist`);
        else if (
          hash !== '' &&
          target !== undefined &&
          !target.ids.includes(decodeURIComponent(hash.slice(1)))
        )
          this.#problem(page, `links to ${pathname}${hash}, which has no such anchor`);
      }
    }
  }

  /** Types a word into the search, and opens the page that must be among the results. */
  async checkSearch({ word, page }) {
    this.#loading.add(`the search for ${word}`);
    const tab = await this.#openTab();
    await this.#open(tab, '/index.html');
    await tab.click('.VPNavBarSearch button');
    await tab.fill('.VPLocalSearchBox input', word);
    await tab.waitForSelector('.VPLocalSearchBox .result');
    const found = await tab.$$eval('.VPLocalSearchBox a.result', (results) =>
      results.map(({ href }) => new URL(href).pathname),
    );
    if (!found.includes(page))
      this.#problem('search', `${word} leads to ${found.join(' ')}, but not to ${page}`);
    await tab.click('.VPLocalSearchBox a.result >> nth=0');
    await tab.waitForFunction(
      (text) => document.querySelector('.vp-doc')?.textContent.toLowerCase().includes(text),
      word,
    );
    await tab.close();
    this.#loading.clear();
  }

  /** What was seen, in a line. Charts that are missing altogether are a problem as well. */
  summary() {
    const charts = [...this.#pages].map(([page, found]) => ({ page, count: found.charts.length }));
    for (const page of ['/index.html', '/performance.html']) {
      if (!charts.some((entry) => entry.page === page && entry.count > 0))
        this.#problem(page, 'has no chart');
    }
    const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
    const links = sum([...this.#pages.values()].map((found) => found.links.length));
    return `${this.#pages.size} pages, ${links} links, ${sum(charts.map(({ count }) => count))} charts`;
  }
}

async function main() {
  if (!fs.existsSync(path.join(dist, 'index.html')))
    throw new Error('the site is not built: run scripts/build-site');
  const executablePath = findChromium();
  if (executablePath === undefined)
    throw new Error('no Chromium is installed: run scripts/install-tools site, or name one in CHROMIUM');
  const { url } = await serve(0);
  const isRoot = process.getuid() === 0; // Chromium's sandbox does not work for root
  const browser = await chromium.launch({
    executablePath,
    chromiumSandbox: !isRoot,
    args: ['--disable-dev-shm-usage'],
    timeout: PAGE_MS,
  });
  const check = new SiteCheck(await browser.newContext(), new URL(url).origin);
  const deadline = setTimeout(() => {
    console.error(`the site's check takes longer than ${ALL_MS / 1000} s; open: ${check.loading.join(', ')}`);
    console.error(check.problems.join('\n'));
    process.exit(1);
  }, ALL_MS);
  await check.openAll(builtPages());
  check.checkLinks();
  await check.checkSearch(SEARCH);
  const summary = check.summary();
  clearTimeout(deadline);
  await browser.close();
  if (check.problems.length > 0)
    throw new Error(`${check.problems.join('\n')}\n${check.problems.length} problem(s)`);
  console.log(`The site is fine: ${summary}.`);
}

// Vite's server would keep the process alive.
main().then(
  () => process.exit(0),
  (error) => {
    console.error(`check-site: ${error.message}`);
    process.exit(1);
  },
);
