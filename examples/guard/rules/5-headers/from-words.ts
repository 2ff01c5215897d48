import { defineRule } from '../../rule';
import { shown } from '../../shown';
import { wordIn, words } from '../../words';

export const fromWords = defineRule({
  name: 'from_words',
  step: 'headers',
  doc: 'The From field, its name or its address, has one of these words.',
  suspicion: true,
  options: { words: words('words or phrases, in any letter case') },
  check({ message: { headers } }, { words }) {
    for (const from of headers.getAll('From')) {
      const word = wordIn(from, words);
      if (word !== null)
        return { reason: `From ${shown(from)} has ${shown(word)}`, reply: 'Your name is not accepted here.' };
    }
    return null;
  },
});
