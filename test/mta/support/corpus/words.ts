/** Words and character sets in the header, plain and in disguise. */
import { type Day, type Kind, kindOf } from './day';
import { CHARSETS, SUBJECT_WORDS } from './world';

const base64Word = (charset: string, bytes: Buffer | string) =>
  `=?${charset}?B?${Buffer.from(bytes).toString('base64')}?=`;
const quotedWord = (text: string) =>
  `=?utf-8?Q?${[...Buffer.from(text)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')}?=`;
const split = (word: string, by: string) => `${word.slice(0, 2)}${by}${word.slice(2)}`;
const fullWidth = (word: string) =>
  word.replaceAll(/[a-z]/g, (letter) => String.fromCodePoint((letter.codePointAt(0) as number) + 0xfee0));

/** How a word hides. */
const DISGUISES: readonly ((word: string, day: Day) => string)[] = [
  (word) => word,
  (word) => word.toUpperCase(),
  (word, day) => `${day.words(2)}, ${word}!`,
  (word, day) => `${day.words(2)} ${base64Word('utf-8', word)} ${day.words(1)}`,
  (word) => quotedWord(word),
  (word) => `${base64Word('utf-8', word.slice(0, 4))} ${base64Word('utf-8', word.slice(4))}`,
  (word) => base64Word('utf-8', fullWidth(word)),
  (word) => base64Word('utf-8', split(word, '\u200b')),
  (word) => base64Word('utf-8', split(word, '\u00ad')),
  (word) => base64Word('iso-8859-1', word),
  (word, day) => `${day.words(2)}\r\n ${word}\r\n\t${day.words(1)}`,
  (word, day) => `${long(day)}\r\n ${word}`,
];

/** A folded text of more than 3,000 characters. */
const long = (day: Day) => Array.from({ length: 60 }, () => day.words(9)).join('\r\n ');

export const words: readonly Kind[] = [
  kindOf('word in the Subject', 30, (day) => ({
    subject: day.random.pick(DISGUISES)(day.random.pick(SUBJECT_WORDS), day),
    expected: 'tag subject_words',
  })),
  kindOf('word that is part of another one', 10, (day) => ({
    subject: day.random.pick(['lotterydraw', 'nonlottery', 'you have wonderful days', 'casino']),
    expected: 'accept',
  })),
  kindOf('long Subject', 10, (day) => ({ subject: long(day), expected: 'accept' })),
  kindOf('word in the Subject of a sender that we trust', 5, (day) => ({
    from: `${day.unique()}@trusted.example`,
    subject: 'you have won a lottery',
    expected: 'accept',
  })),
  kindOf('word in the name of the author', 15, (day) => ({
    author: `${day.random.pick(['Casino', '"Best casino"', base64Word('utf-8', 'CASINO royal')])} <${day.unique()}@friend.example>`,
    expected: 'tag from_words',
  })),
  kindOf('unreadable Subject', 10, (day) => ({
    subject: base64Word(day.random.pick(CHARSETS), Buffer.from([0xc4, 0xe3, 0xba, 0xc3])),
    expected: 'quarantine unreadable_charset',
  })),
  kindOf('unreadable text', 10, (day) => ({
    fields: [
      ['MIME-Version', '1.0'],
      ['Content-Type', `text/plain; charset="${day.random.pick(CHARSETS).toUpperCase()}"`],
    ],
    expected: 'quarantine unreadable_charset',
  })),
  kindOf('other languages', 15, (day) => ({
    subject: base64Word(day.random.pick(['utf-8', 'UTF-8']), day.random.pick(['Grüße', '你好', 'Привет'])),
    expected: 'accept',
  })),
];
