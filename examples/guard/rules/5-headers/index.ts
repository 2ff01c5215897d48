/** Rules about the header, in the order in which they are asked. */
import type { AnyRule } from '../../rule';
import { fromMismatch } from './from-mismatch';
import { fromWords } from './from-words';
import { hidePath } from './hide-path';
import { subjectWords } from './subject-words';
import { supplySender } from './supply-sender';
import { unreadableCharset } from './unreadable-charset';

export const headerRules: readonly AnyRule[] = [
  subjectWords,
  fromWords,
  unreadableCharset,
  fromMismatch,
  hidePath,
  supplySender,
];
