/** All rules, in the order in which they are asked: by step, and within a step as its directory says. */
import type { AnyRule } from './rule';
import { connectRules } from './rules/1-connect';
import { helloRules } from './rules/2-hello';
import { mailRules } from './rules/3-mail';
import { rcptRules } from './rules/4-rcpt';
import { headerRules } from './rules/5-headers';
import { bodyRules } from './rules/6-body';
import { contentRules } from './rules/7-content';
import { endRules } from './rules/8-end';
import { aroundRules } from './rules/around';

export const rules: readonly AnyRule[] = [
  ...connectRules,
  ...helloRules,
  ...mailRules,
  ...rcptRules,
  ...headerRules,
  ...bodyRules,
  ...contentRules,
  ...endRules,
  ...aroundRules,
];
