/** The documentation as its tests see it: pages, and the code blocks in them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../tools/project-root';

/** A fenced block. */
export interface Block {
  /** The page's path in the project. */
  readonly page: string;
  /** The line of the opening fence, from 1; the text begins on the next one. */
  readonly line: number;
  /** What stands behind the opening fence. */
  readonly language: string;
  readonly text: string;
}

/** A Markdown file. */
export interface Page {
  /** Its path in the project. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** The pages in the root folder that users and contributors read. */
const ROOT_PAGES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'UPGRADING.md'];

/** The pages of the root folder and docs/*.md; docs/api is generated. */
export function readPages(): Page[] {
  const docs = readdirSync(join(projectRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`);
  return [...ROOT_PAGES, ...docs.sort()].map(readPage);
}

function readPage(path: string): Page {
  const text = readFileSync(join(projectRoot, path), 'utf8');
  return { path, text, blocks: [...blocksOf(path, text)] };
}

function* blocksOf(page: string, text: string): Generator<Block> {
  let open: { line: number; language: string; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (!fence) {
      open?.lines.push(line);
    } else if (open) {
      yield { page, line: open.line, language: open.language, text: `${open.lines.join('\n')}\n` };
      open = undefined;
    } else {
      open = { line: index + 1, language: (fence[1] ?? '').trim(), lines: [] };
    }
  }
  if (open) throw new Error(`${page}:${open.line}: the block has no end`);
}

/** `docs/macros.md:52`, as editors and terminals make links of. */
export function placeOf({ page, line }: Block): string {
  return `${page}:${line}`;
}

/** The anchors that GitHub gives a page's headings. */
export function anchorsOf({ text }: Page): Set<string> {
  const headings = withoutBlocks(text).matchAll(/^#+ (.*)$/gm);
  return new Set(
    Array.from(headings, ([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The targets of a page's links. */
export function linksOf({ text }: Page): string[] {
  return Array.from(withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
}

function withoutBlocks(text: string): string {
  return text.replace(/^\s*```[\s\S]*?^\s*```$/gm, '');
}
