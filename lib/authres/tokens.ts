/**
 * The words of a structured header field (RFC 5322 3.2, RFC 2045 5.1): tokens, quoted strings and separators, with
 * comments and folding white space between them. One pass, no backtracking.
 */

export interface Token {
  /**
   * `word`: without quotes; characters beyond ASCII are part of it (RFC 6532). `quoted`: what stood in quotes, without them and
   * without backslashes. `separator`: one of `; = / @ , : < > [ ] ?`.
   */
  readonly kind: 'word' | 'quoted' | 'separator';
  readonly text: string;
  /** Whether white space or a comment stands before it. */
  readonly isApart: boolean;
}

const SEPARATORS = ';=/@,:<>[]?';
/** Comments in comments; more is nothing that a mail program writes. */
const MAX_NESTING = 32;

const isSpace = (character: string): boolean =>
  character === ' ' || character === '\t' || character === '\r' || character === '\n';

/** @returns undefined for text with an open quote or comment, a stray `)`, or a control character anywhere */
export function tokenize(text: string): Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  let isApart = false;
  const add = (kind: Token['kind'], word: string) => {
    tokens.push({ kind, text: word, isApart });
    isApart = false;
  };
  while (at < text.length) {
    const character = text[at] as string;
    if (isSpace(character)) {
      isApart = true;
      at++;
    } else if (character === '"') {
      const end = quotedEnd(text, at);
      const content = contentOf(text, at, end);
      if (content === undefined) return undefined;
      add('quoted', content);
      at = end + 1;
    } else if (character === '(') {
      const end = commentEnd(text, at);
      if (contentOf(text, at, end) === undefined) return undefined;
      isApart = true;
      at = end + 1;
    } else if (SEPARATORS.includes(character)) {
      add('separator', character);
      at++;
    } else {
      const end = wordEnd(text, at);
      if (end === at) return undefined;
      add('word', text.slice(at, end));
      at = end;
    }
  }
  return tokens;
}

function quotedEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return -1;
}

/** The index of the `)` that ends the comment which begins at `start`; -1 for an open comment, or too many in one another. */
export function commentEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const character = text[at];
    if (character === '\\') at++;
    else if (character === '(' && ++depth > MAX_NESTING) return -1;
    else if (character === ')' && --depth === 0) return at;
  }
  return -1;
}

function wordEnd(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at] as string;
    if (isSpace(character) || character < ' ' || character === '\x7f') break;
    if (SEPARATORS.includes(character) || '"()\\'.includes(character)) break;
  }
  return at;
}

/**
 * What stands between the quotes or parentheses at `start` and `end`, without the line ends of folds (RFC 5322 2.2.3) and the
 * backslashes of quoted pairs (3.2.1).
 *
 * @returns undefined without an end, and for a control character other than a tab, with or without a backslash
 */
function contentOf(text: string, start: number, end: number): string | undefined {
  if (end < 0) return undefined;
  const unfolded = text.slice(start + 1, end).replace(/\r?\n(?=[ \t])/g, '');
  return hasControl(unfolded) ? undefined : unfolded.replace(/\\(.)/gs, '$1');
}

function hasControl(text: string): boolean {
  for (const character of text)
    if ((character < ' ' && character !== '\t') || character === '\x7f') return true;
  return false;
}
