import { defineRule } from '../../rule';
import { shown } from '../../shown';
import { wordIn, words } from '../../words';

export const subjectWords = defineRule({
  name: 'subject_words',
  step: 'headers',
  doc: 'The Subject has one of these words.',
  suspicion: true,
  options: { words: words('words or phrases, in any letter case') },
  check({ message: { headers } }, { words }) {
    for (const subject of headers.getAll('Subject')) {
      const word = wordIn(subject, words);
      if (word !== null)
        return {
          reason: `Subject ${shown(subject)} has ${shown(word)}`,
          reply: 'Your Subject is not accepted here.',
        };
    }
    return null;
  },
});
