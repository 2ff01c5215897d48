/** Asks the rules of each step about a session and its messages, and remembers what they have found. */
import type { ActiveRule } from './config';
import type { MessageFacts, SessionFacts } from './facts';
import type { CheckResult, FactsAt, Finding, Outcome, Question, Step } from './rule';
import { type Judged, judge, refuses } from './verdict';

type Report = (tag: string, ...words: readonly string[]) => void;

/** What is found in a session holds for all of its messages; what is found in a message ends with it. */
export class Inspection {
  readonly #rules: readonly ActiveRule[];
  readonly #log: Report;
  #session: Judged[] = [];
  #message: Judged[] = [];
  /** What has not been asked yet about the message. */
  #questions: { readonly rule: ActiveRule; readonly question: Question }[] = [];
  #trust: string | null = null;
  /** What each rule has cost the session, also in messages that have ended. */
  readonly #charged = new Map<ActiveRule, number>();

  constructor(rules: readonly ActiveRule[], log: Report) {
    this.#rules = rules;
    this.#log = log;
  }

  /** HELO may be said again, and then counts instead of the first one. It ends a message that has begun (RFC 5321 4.1.4). */
  beginHello(): void {
    this.#trust = null;
    this.#session = this.#session.filter(({ rule }) => rule.step === 'connect');
  }

  beginMessage(): void {
    this.#message = [];
    this.#questions = [];
    this.#trust = null;
  }

  /** Keeps what a step has found about an accepted recipient. One mark says the same as a hundred. */
  keep(found: readonly Judged[]): void {
    for (const judged of found) {
      const { rule, mode, finding } = judged;
      const isKnown = this.#message.some((known) => known.rule === rule && known.mode === mode);
      if (!isKnown || finding.edit) this.#message.push(judged);
    }
  }

  /** What holds for the message so far. */
  found(facts: MessageFacts): Judged[] {
    return [...this.#session, ...this.#message].filter(({ rule }) => this.#holds(rule, facts));
  }

  /** A client that has logged in is not what its address seemed to be. A trusted sender is spared suspicion. */
  #holds({ clients, suspicion }: ActiveRule, { client }: SessionFacts): boolean {
    return clients.has(client.class) && !(suspicion && this.#trust !== null);
  }

  /** What the session has lost, by rules whose findings hold. */
  #demerits(facts: SessionFacts): number {
    let sum = 0;
    for (const [rule, cost] of this.#charged) if (this.#holds(rule, facts)) sum += cost;
    return sum;
  }

  async connect(facts: FactsAt['connect']): Promise<void> {
    this.#session.push(...(await this.ask('connect', facts)));
  }

  async hello(facts: FactsAt['hello']): Promise<void> {
    this.#session.push(...(await this.ask('hello', facts)));
  }

  async message(step: Exclude<Step, 'connect' | 'hello' | 'rcpt'>, facts: MessageFacts): Promise<void> {
    this.#message.push(...(await this.ask(step, facts)));
  }

  /**
   * Asks the rules of a step in order, until there is a rejection that nothing can drop.
   *
   * @param isRefused whether there is a refusal already: then only rules that are asked in any case
   */
  async ask<S extends Step>(step: S, facts: FactsAt[S], isRefused = false): Promise<Judged[]> {
    const found: Judged[] = [];
    for (const rule of this.#rules) {
      if (rule.step !== step || !rule.clients.has(facts.client.class)) continue;
      if (isRefused && !rule.always) continue;
      if (rule.suspicion && this.#trust !== null) continue;
      const judged = await this.#askRule(rule, facts);
      found.push(...judged);
      if (isFinal(rule) && judged.some(({ mode }) => mode === 'reject')) break;
    }
    return found;
  }

  /** Puts the questions that must be answered before the first recipient, or the message, is accepted, until one of them refuses it. */
  async askOthers(before: Question['before']): Promise<void> {
    const isDue = ({ question }: { readonly question: Question }) =>
      before === 'end' || question.before === before;
    const due = this.#questions.filter(isDue);
    this.#questions = this.#questions.filter((each) => !isDue(each));
    for (const { rule, question } of due) {
      const finding = await question.ask();
      if (finding === null) continue;
      const judged = this.#judge(rule, finding);
      this.#message.push(judged);
      if (refuses(judged)) return;
    }
  }

  async #askRule(rule: ActiveRule, facts: FactsAt[Step]): Promise<Judged[]> {
    const found: Judged[] = [];
    for (const result of await this.#check(rule, { ...facts, demerits: this.#demerits(facts) })) {
      if (result === null) continue;
      if ('trust' in result) {
        this.#log(rule.tag, rule.mode === 'dry-run' ? 'dry-run:' : 'trust:', result.trust);
        if (rule.mode !== 'dry-run') this.#trust = result.trust;
      } else if ('ask' in result) this.#questions.push({ rule, question: result });
      else found.push(this.#judge(rule, result));
    }
    return found;
  }

  #judge(rule: ActiveRule, finding: Finding): Judged {
    const judged = judge(rule, finding);
    this.#log(rule.tag, `${judged.mode}:`, finding.reason);
    this.#charge(judged);
    return judged;
  }

  /** What is at most tagged costs nothing. A client says EHLO again after STARTTLS, which costs it nothing more. */
  #charge({ rule, mode, finding: { demerits = 0 } }: Judged): void {
    if (mode === 'dry-run' || mode === 'tag') return;
    const isOnce = rule.step === 'connect' || rule.step === 'hello';
    const charged = this.#charged.get(rule) ?? 0;
    if (!isOnce || charged === 0) this.#charged.set(rule, charged + demerits);
  }

  /** A rule that fails is the filter's failure, and defers the message; but a dry run never does anything to it. */
  async #check(rule: ActiveRule, facts: FactsAt[Step]): Promise<readonly CheckResult[]> {
    try {
      return await rule.check(facts);
    } catch (error) {
      if (rule.mode !== 'dry-run') throw error;
      this.#log(rule.tag, 'failed:', (error as Error).message);
      return [];
    }
  }

  /** Tells the rules what became of the message. A rule that fails then does not change it any more. */
  async after(
    facts: MessageFacts,
    action: Outcome['action'],
    found: readonly Judged[],
    { whole, error }: { readonly whole: boolean; readonly error?: unknown },
  ): Promise<void> {
    const findings = found.map(({ rule, finding, mode }) => ({
      ...finding,
      rule: rule.name,
      step: rule.step,
      mode,
    }));
    const outcome: Outcome = { action, whole, findings, ...(error !== undefined && { error }) };
    for (const rule of this.#rules) {
      if (!rule.clients.has(facts.client.class)) continue;
      try {
        await rule.after({ ...facts, demerits: this.#demerits(facts) }, outcome);
      } catch (failure) {
        this.#log(rule.tag, 'failed:', (failure as Error).message);
      }
    }
  }
}

/** A login drops what was found before it, trust what a rule of suspicion has found. */
const isFinal = ({ step, suspicion }: ActiveRule): boolean =>
  step !== 'connect' && step !== 'hello' && !suspicion;
