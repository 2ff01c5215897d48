/** What a rule is: a question about a client, a sender, a recipient or a message, and what is wrong if the answer is yes. */
import type { Transaction } from 'tsmilter/message';
import type { ClientClass } from './client';
import type { MessageFacts, RecipientFacts, SessionFacts } from './facts';
import type { Options, Values } from './options';
import type { Services } from './services';

/** The steps of a message in their order, each a directory of `rules/`; `around` has what watches and remembers. */
export const STEPS = [
  'connect',
  'hello',
  'mail',
  'rcpt',
  'headers',
  'body',
  'content',
  'end',
  'around',
] as const;
export type Step = (typeof STEPS)[number];

/** What a finding does, from nothing to the most severe. */
export const MODES = ['off', 'dry-run', 'tag', 'quarantine', 'defer', 'reject'] as const;
export type Mode = (typeof MODES)[number];

/** What is known when the rules of a step are asked. */
export interface FactsAt {
  readonly connect: SessionFacts;
  readonly hello: SessionFacts;
  readonly mail: MessageFacts;
  readonly rcpt: RecipientFacts;
  readonly headers: MessageFacts;
  readonly body: MessageFacts;
  readonly content: MessageFacts;
  readonly end: MessageFacts;
  readonly around: MessageFacts;
}

/** What is wrong. The mode of the rule decides what follows. */
export interface Finding {
  /** For the log, and for the X-Guard field. Put what a client has chosen into `shown()`. */
  readonly reason: string;
  /** What the client is told, one or more lines. A legitimate sender sees nothing but this, in a bounce. Default: `reason`. */
  readonly reply?: string;
  /** Subject and detail of the extended reply code (RFC 3463): `7.1` gives 550 5.7.1, or 451 4.7.1. Default: `7.1`. */
  readonly detail?: string;
  /** The most severe effect that this finding may have: what may be different in an hour is `defer`. */
  readonly atMost?: Mode;
  /** How much the client loses by it, unless it is only tagged; see the rule `max_demerits`. Default: 0. */
  readonly demerits?: number;
  /** Whether the message is spam for certain: that counts against the sender, and scanners learn it. Default: no. */
  readonly spam?: boolean;
  /** At RCPT: the recipient is accepted, and the refusal told when the whole message has arrived. Default: no. */
  readonly late?: boolean;
  /** What mode `tag` does to the message in place of a field X-Guard. */
  readonly edit?: (message: Transaction) => void | Promise<void>;
}

/** Of a finding that would be none if DNS, which has not answered, said the right thing. */
export const UNANSWERED = { atMost: 'defer', detail: '4.3' } as const satisfies Partial<Finding>;

/** The sender is trusted: rules of suspicion are not asked about this message, and what they have found is dropped. */
export interface Trust {
  readonly trust: string;
}

/** What costs others something to answer, such as the mail server of a sender: it is asked when nothing else refuses the mail. */
export interface Question {
  /** `rcpt`: before the first recipient is accepted; `end`: before the whole message is. */
  readonly before: 'rcpt' | 'end';
  readonly ask: () => Promise<Finding | null>;
}

export type CheckResult = Finding | Trust | Question | null;

/** What became of a message. */
export interface Outcome {
  /** `abandoned`: the client has not finished the message; `failed`: the filter has. */
  readonly action: 'accept' | 'tag' | 'quarantine' | 'defer' | 'reject' | 'abandoned' | 'failed';
  /** Whether the message has arrived as a whole. */
  readonly whole: boolean;
  /** What counted, from the first step on, each with its rule. */
  readonly findings: readonly (Finding & {
    readonly rule: string;
    readonly step: Step;
    readonly mode: Mode;
  })[];
  /** Of `failed`. */
  readonly error?: unknown;
}

/** A rule, as its file declares it. `P` is what `prepare` makes of the options: by default the options themselves. */
export interface Rule<S extends Step, O extends Options, P> {
  /** The name of its section in the configuration file: lower-case words joined by underscores. */
  readonly name: string;
  readonly step: S;
  /** A sentence for the documentation: what is found. */
  readonly doc: string;
  /** Which clients are asked about, unless the option `clients` says otherwise. Default: external, dynamic. */
  readonly clients?: readonly ClientClass[];
  /** Whether it is a rule of suspicion, of which a trusted sender is spared. Default: no. */
  readonly suspicion?: boolean;
  /** At RCPT: whether it is asked about a recipient that something else refuses already. Default: no. */
  readonly always?: boolean;
  readonly options?: O;
  /** Opens what the rule keeps while the configuration is in use; not called for a rule that is off. */
  prepare?(options: Values<O>, services: Services): P | Promise<P>;
  check?(facts: FactsAt[S], prepared: P): CheckResult | Promise<CheckResult | readonly CheckResult[]>;
  /** Called when the message has ended, once, whatever became of it. */
  after?(facts: MessageFacts, outcome: Outcome, prepared: P): void | Promise<void>;
}

/** A rule that is ready to be asked. */
export interface PreparedRule {
  check(facts: FactsAt[Step]): Promise<readonly CheckResult[]>;
  after(facts: MessageFacts, outcome: Outcome): Promise<void>;
}

/** A rule for the frame, which does not know the types of its options. */
export interface AnyRule {
  readonly name: string;
  readonly step: Step;
  readonly doc: string;
  readonly clients: readonly ClientClass[];
  readonly suspicion: boolean;
  readonly always: boolean;
  readonly options: Options;
  prepare(options: Values<Options>, services: Services): Promise<PreparedRule>;
}

const EXTERNAL: readonly ClientClass[] = ['external', 'dynamic'];

/** Declares a rule. */
export function defineRule<S extends Step, O extends Options, P = Values<O>>(rule: Rule<S, O, P>): AnyRule {
  const { name, step, doc, clients = EXTERNAL, suspicion = false, always = false, options = {} } = rule;
  return {
    name,
    step,
    doc,
    clients,
    suspicion,
    always,
    options,
    async prepare(values, services) {
      // The frame reads the values by these very options, and asks a rule at its own step.
      const own = values as Values<O>;
      const prepared = rule.prepare ? await rule.prepare(own, services) : (own as P);
      return {
        check: async (facts) => [(await rule.check?.(facts as FactsAt[S], prepared)) ?? null].flat(),
        after: async (facts, outcome) => rule.after?.(facts, outcome, prepared),
      };
    },
  };
}
