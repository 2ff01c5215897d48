/**
 * The tables of docs/performance.md as bar charts: plain SVG, made when the site is built, whose colours follow the
 * site's theme.
 */

/** The columns that are drawn; the first one that a table has counts. */
const DRAWN = ['MB/s', 'messages/s', 'times as fast'];

const ROW = 26;
const LABEL = 190;
const BARS = 380;
const VALUE = 150;

/** `7,623 (6,434 to 8,284)`: a median, and what it lies between. */
const FIGURE = /^([\d,.]+)(?: \(([\d,.]+) to ([\d,.]+)\))?$/;

const number = (text) => Number(text.replaceAll(',', ''));
const escapeHtml = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const cells = (line) =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map((cell) => cell.trim());

/** @returns the bars of a table, or nothing if it has no column to draw */
function readTable(lines) {
  const titles = cells(lines[0]);
  const unit = DRAWN.find((title) => titles.includes(title));
  if (unit === undefined) return undefined;
  const column = titles.indexOf(unit);
  const bars = lines.slice(2).flatMap((line) => {
    const row = cells(line);
    const figure = FIGURE.exec(row[column]);
    if (figure === null) return []; // a contender without this figure
    const [, median, low = median, high = median] = figure;
    return [{ name: row[0], text: median, median: number(median), low: number(low), high: number(high) }];
  });
  return { unit, bars };
}

function drawBar({ name, text, median, low, high }, index, perPixel) {
  const y = index * ROW;
  const at = (value) => (LABEL + value / perPixel).toFixed(1);
  const middle = y + ROW / 2;
  const own = name.startsWith('tsmilter') ? ' own' : '';
  return [
    `<text class="name" x="${LABEL - 8}" y="${middle}">${escapeHtml(name)}</text>`,
    `<rect class="bar${own}" x="${LABEL}" y="${y + 5}" width="${(median / perPixel).toFixed(1)}" height="${ROW - 10}"/>`,
    high > low ? `<path class="range" d="M${at(low)} ${middle}H${at(high)}"/>` : '',
    `<text class="value" x="${(Number(at(high)) + 8).toFixed(1)}" y="${middle}">${escapeHtml(text)}</text>`,
  ].join('');
}

/** A chart as one line of HTML, as Markdown needs it. */
export function drawChart(title, { unit, bars }) {
  const perPixel = Math.max(...bars.map(({ high }) => high)) / BARS;
  const size = `0 0 ${LABEL + BARS + VALUE} ${bars.length * ROW}`;
  const drawn = bars.map((bar, index) => drawBar(bar, index, perPixel)).join('');
  const ranges = bars.some(({ low, high }) => high > low)
    ? ': medians, with the lowest and the highest figure'
    : '';
  const caption = `${title}: ${unit}${ranges}. More is better.`;
  return (
    `<figure class="chart"><svg viewBox="${size}" role="img" aria-label="${escapeHtml(caption)}">${drawn}</svg>` +
    `<figcaption>${escapeHtml(caption)}</figcaption></figure>`
  );
}

/** The tables of a page that can be drawn, by the heading above them. */
export function chartsOf(markdown) {
  const charts = [];
  let heading = '';
  const lines = markdown.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const title = /^#+ (.*)$/.exec(lines[index]);
    if (title) heading = title[1];
    if (!lines[index].startsWith('|')) continue;
    const start = index;
    while (lines[index + 1]?.startsWith('|')) index++;
    const table = readTable(lines.slice(start, index + 1));
    if (table !== undefined) charts.push({ heading, line: start, html: drawChart(heading, table) });
  }
  return charts;
}

/** A page with a chart above each table that can be drawn. */
export function withCharts(markdown) {
  const lines = markdown.split('\n');
  for (const { line, html } of chartsOf(markdown).reverse()) lines.splice(line, 0, html, '');
  return lines.join('\n');
}
