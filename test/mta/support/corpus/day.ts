/** A source of mail: what a generator of messages draws from. The same seed gives the same day. */
import { Random } from '../../../support/random';
import { type Client, type CorpusMail, clientOf, type Field } from './mail';
import { USERS } from './world';

const WORDS =
  'about agenda answer april budget coffee draft evening figures garden invoice letter lunch meeting minutes notes order paper plan question report review summer table ticket travel update weather week winter'.split(
    ' ',
  );
const NAMES = ['Ann', 'Bob', 'Carla', 'Dan', 'Eva', 'Frank', 'Grace', 'Hugo', 'Ida', 'Jan'];

/** What differs from a message of a friend: from a domain whose SPF passes, to one user, and accepted. */
export type Changes = Partial<Omit<CorpusMail, 'kind' | 'id' | 'expected' | 'fields'>> & {
  readonly author?: string;
  readonly subject?: string;
  /** More fields, above the others. */
  readonly fields?: readonly Field[];
  readonly expected: string | readonly string[];
};

export class Day {
  readonly random: Random;
  #made = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** A word that the day has not had before. It has no digits: greylisting takes these for changing parts of an address. */
  unique(): string {
    let word = '';
    for (let rest = ++this.#made; rest > 0; rest = Math.floor(rest / 26))
      word = String.fromCharCode(97 + (rest % 26)) + word;
    return `q${word}`;
  }

  user(): string {
    return this.random.pick(USERS);
  }

  words(count: number): string {
    return Array.from({ length: count }, () => this.random.pick(WORDS)).join(' ');
  }

  /** Lines of text, of which some begin with a dot or with From. */
  text(): string {
    const lines = Array.from({ length: 1 + this.random.below(12) }, () =>
      this.words(3 + this.random.below(8)),
    );
    if (this.random.chance(0.1)) lines.push('.', '..two dots', 'From here on');
    return lines.map((line) => `${line}\r\n`).join('');
  }

  client(network: Parameters<typeof clientOf>[0]): Client {
    return clientOf(network, 1 + this.random.below(8));
  }

  mail(kind: string, changes: Changes): CorpusMail {
    const word = this.unique();
    const {
      from = `${word}@friend.example`,
      author = from,
      subject,
      fields = [],
      expected,
      ...rest
    } = changes;
    return {
      kind,
      id: `${word}.${kind.replaceAll(/\W+/g, '-')}`,
      client: this.client('friend'),
      from,
      to: [this.user()],
      body: this.text(),
      ...rest,
      expected: [expected].flat(),
      fields: [
        ...fields,
        ['From', author.includes('<') ? author : `${this.random.pick(NAMES)} <${author}>`],
        ['To', rest.to?.[0] === undefined ? 'undisclosed-recipients:;' : `<${rest.to[0]}>`],
        ['Date', 'Sat, 28 Nov 2026 12:00:00 +0000'],
        ['Subject', subject ?? this.words(1 + this.random.below(6))],
      ],
    };
  }
}

/** A kind of mail, and its share of a day, compared with those of other kinds. */
export interface Kind {
  readonly kind: string;
  readonly share: number;
  readonly make: (day: Day, kind: string) => CorpusMail | Promise<CorpusMail>;
}

/** A kind that needs nothing but a message of a friend with changes. */
export const kindOf = (kind: string, share: number, changes: (day: Day) => Changes): Kind => ({
  kind,
  share,
  make: (day) => day.mail(kind, changes(day)),
});
