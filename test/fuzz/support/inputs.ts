/** Random input for what reads untrusted text: tokens of its language in any order, and examples with mistakes. */
import type { Random } from '../../support/random';

/** The language of a reader. Texts are latin1: a character is a byte. */
export interface Language {
  readonly tokens: readonly string[];
  readonly examples: readonly string[];
}

/** What is odd in every language. */
const ODD = [
  '\0',
  '\r',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '\x7f',
  '\xff',
  '\xc3\xa9',
  '"',
  '\\',
  '(',
  ')',
  '<',
  '>',
  ';',
  '=',
  ',',
];

/** A text of up to some hundred characters. */
export function randomInput(random: Random, language: Language): string {
  return random.chance(0.5) ? phrase(random, language) : mistaken(random, language);
}

function token(random: Random, { tokens }: Language): string {
  return random.chance(0.85) ? random.pick(tokens) : random.pick(ODD);
}

function phrase(random: Random, language: Language): string {
  return Array.from({ length: random.below(30) }, () => token(random, language)).join('');
}

function mistaken(random: Random, language: Language): string {
  let text = random.pick(language.examples);
  for (let mistakes = random.below(5); mistakes > 0; mistakes--) {
    const at = random.below(text.length + 1);
    const end = at + random.below(6);
    const instead = random.pick([
      '',
      token(random, language),
      text.slice(at, end).repeat(2),
      String.fromCharCode(random.below(256)),
      random.pick(language.examples).slice(at),
    ]);
    text = text.slice(0, at) + instead + text.slice(end);
  }
  return text;
}

/** A shape that can be made as long as one likes: something at both ends, and something repeated in between. */
export function randomShape(random: Random, language: Language): (length: number) => string {
  const end = () => (random.chance(0.5) ? random.pick(language.examples) : token(random, language));
  const [first, last] = [random.chance(0.7) ? end() : '', random.chance(0.3) ? end() : ''];
  const unit = Array.from({ length: 1 + random.below(3) }, () => token(random, language)).join('') || 'x';
  return (length) => first + unit.repeat(Math.ceil(length / unit.length)) + last;
}
