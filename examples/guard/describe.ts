/** The documentation of all options, from their declarations. */
import { optionTable } from '../shared/option-table';
import { commonOptions, FRAME } from './frame-options';
import type { Options } from './options';
import { type AnyRule, STEPS } from './rule';

/** Markdown: the sections of the frame, the options of every rule, and the rules by their steps. */
export function describeOptions(rules: readonly AnyRule[]): string {
  const frame = Object.entries<Options>(FRAME).map(
    ([section, options]) => `#### [${section}]\n\n${optionTable('option', options)}`,
  );
  const common = `#### Every rule\n\n${optionTable('option', withoutOwn())}`;
  const steps = STEPS.flatMap((step) => {
    const own = rules.filter((rule) => rule.step === step);
    return own.length === 0 ? [] : [`### Rules: ${step}`, ...own.map(ruleText)];
  });
  return `${['### The filter', ...frame, common, ...steps].join('\n\n')}\n`;
}

function ruleText(rule: AnyRule): string {
  const notes = [
    `Clients: ${rule.clients.join(', ')}.`,
    ...(rule.suspicion ? ['A trusted sender is spared.'] : []),
  ];
  const own = Object.keys(rule.options).length === 0 ? '' : `\n\n${optionTable('option', rule.options)}`;
  return `#### [${rule.name}]\n\n${rule.doc} ${notes.join(' ')}${own}`;
}

/** The defaults of two common options are different for each rule. */
function withoutOwn(): Options {
  const options = commonOptions({ name: 'the name of the rule', clients: [] });
  return {
    ...options,
    log_tag: { ...options.log_tag, fallback: 'its name in capitals' },
    clients: { ...options.clients, fallback: 'as the rule says' },
  };
}
