/** What removeScripts takes for a script, measured by parse5, an implementation of the HTML standard. */
import { describe, it } from '@jest/globals';
import { Tokenizer, TokenizerMode } from 'parse5';
import { removeScripts } from 'tsmilter/mime';
import { expectThat } from '../support/expect';
import { randomNumbers } from '../support/random';

const COMMENT = '<!-- WARNING: a script was removed here -->';

/** The document without what is a script to parse5. */
function byStandard(html: string): string {
  const pieces: string[] = [];
  let begin = -1;
  let done = 0;
  const take = (end: number) => {
    pieces.push(html.slice(done, begin), COMMENT);
    done = end;
    begin = -1;
  };
  const ignore = () => {};
  const tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: true },
    {
      onStartTag({ tagName, location }) {
        if (tagName !== 'script') return;
        begin = location?.startOffset ?? -1;
        tokenizer.state = TokenizerMode.SCRIPT_DATA; // as the standard's tree construction does
      },
      onEndTag({ tagName, location }) {
        if (tagName === 'script' && begin >= 0) take(location?.endOffset ?? -1);
      },
      onComment: ignore,
      onDoctype: ignore,
      onEof: ignore,
      onCharacter: ignore,
      onNullCharacter: ignore,
      onWhitespaceCharacter: ignore,
    },
  );
  tokenizer.write(html, true);
  if (begin >= 0) take(html.length);
  return pieces.join('') + html.slice(done);
}

describe('scripts as the HTML standard defines them', () => {
  // Without elements that hold text, where this package takes more for a script than the standard does.
  const words = [
    '<script',
    '<SCRIPT>',
    '</script',
    '</script>',
    '<script>',
    '<!--',
    '-->',
    '--!>',
    '<!-->',
    '->',
    '>',
    '<',
    '/',
    '/>',
    '=',
    '"',
    "'",
    ' ',
    '\n',
    '\r\n',
    '\t',
    '\f',
    '\v',
    'a',
    'x="',
    "y='",
    'z=',
    '<p',
    '<p ',
    '</p',
    '</',
    '</>',
    '<!',
    '<!doctype html public "',
    '<?',
    '<![CDATA[',
    ']]>',
    '<!-',
    '-',
    '!',
    '&lt;',
    '<scripts>',
    '<1',
    '\xe9',
  ];

  for (let seed = 1; seed <= 4; seed++) {
    /** @contract 27 */
    it(`in random documents, row ${seed}`, () => {
      const next = randomNumbers(seed * 7919);
      let scripts = 0;
      for (let count = 0; count < 4000; count++) {
        const html = Array.from({ length: 1 + next(30) }, () => words[next(words.length)]).join('');
        const expected = byStandard(html);
        if (expected !== html) scripts++;
        const found = removeScripts(Buffer.from(html, 'latin1'))?.toString('latin1') ?? html;
        expectThat(found, JSON.stringify(html)).toBe(expected);
      }
      expectThat(scripts, `${scripts} documents with scripts are too few to tell`).toBeGreaterThan(500);
    });
  }
});
