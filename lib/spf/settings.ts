/** The options of a check, validated and with their defaults. */
import { hostname } from 'node:os';
import { badArgument } from '../internal/errors.js';
import { checkInteger, checkLine, checkOptions, checkText, type OptionNames } from '../internal/validate.js';
import { MacroString } from './macro-string.js';
import type { SpfIdentity, SpfOptions } from './types.js';

const LIMITS = {
  maxLookups: { min: 0, defaultValue: 10 },
  maxVoidLookups: { min: 0, defaultValue: 2 },
  maxMx: { min: 0, defaultValue: 10 },
  maxPtr: { min: 0, defaultValue: 10 },
  maxRecordLength: { min: 1, defaultValue: 16_384 },
  maxMacroValue: { min: 1, defaultValue: 1024 },
  maxExplanation: { min: 16, defaultValue: 400 },
  maxTime: { min: 1, defaultValue: 20_000 },
} as const;

type Limits = { readonly [name in keyof typeof LIMITS]: number };

export interface Settings extends Limits {
  readonly identity: SpfIdentity;
  readonly receiver: string;
  readonly defaultExplanation: MacroString | null;
}

const RESOLVER_METHODS = ['resolve4', 'resolve6', 'resolveMx', 'resolveTxt', 'reverse'] as const;

const OPTIONS: OptionNames<SpfOptions> = {
  resolver: true,
  receiver: true,
  identity: true,
  maxLookups: true,
  maxVoidLookups: true,
  maxMx: true,
  maxPtr: true,
  maxRecordLength: true,
  maxMacroValue: true,
  maxExplanation: true,
  maxTime: true,
  defaultExplanation: true,
  signal: true,
};

/** @throws MilterError ERR_MILTER_BAD_ARGUMENT */
export function settingsOf(options: SpfOptions): Settings {
  checkOptions('checkSpf', options, OPTIONS);
  const { identity = 'mailfrom', receiver = hostname(), defaultExplanation, resolver } = options;
  if (identity !== 'mailfrom' && identity !== 'helo')
    throw badArgument('checkSpf: identity must be mailfrom or helo');
  checkLine('checkSpf: receiver', receiver);
  if (resolver !== undefined && RESOLVER_METHODS.some((name) => typeof resolver?.[name] !== 'function')) {
    throw badArgument(`checkSpf: resolver must have the methods ${RESOLVER_METHODS.join(', ')}`);
  }
  return { ...limitsOf(options), identity, receiver, defaultExplanation: explanationOf(defaultExplanation) };
}

function limitsOf(options: SpfOptions): Limits {
  const names = Object.keys(LIMITS) as (keyof Limits)[];
  const entries = names.map((name) => {
    const { min, defaultValue } = LIMITS[name];
    const value = options[name] ?? defaultValue;
    checkInteger(`checkSpf: ${name}`, value, min);
    return [name, value];
  });
  return Object.fromEntries(entries) as Limits;
}

function explanationOf(text: string | undefined): MacroString | null {
  if (text === undefined) return null;
  checkText('checkSpf: defaultExplanation', text);
  const explanation = MacroString.read(text);
  if (explanation === undefined || text.trim() === '') {
    throw badArgument(
      'checkSpf: defaultExplanation must be printable ASCII with macros of RFC 7208, and a percent sign must be written as %%',
    );
  }
  return explanation;
}
