/** What handlers may take and answer. */
import * as Milter from 'tsmilter';
import { check, type Equal } from './equal.js';

check<
  Equal<
    Milter.Status,
    | typeof Milter.CONTINUE
    | typeof Milter.REJECT
    | typeof Milter.DISCARD
    | typeof Milter.ACCEPT
    | typeof Milter.TEMPFAIL
    | typeof Milter.NOREPLY
    | typeof Milter.SKIP
  >
>();
check<Equal<Milter.Answer, Milter.Status | Promise<Milter.Status>>>();

/** Every handler, answered at once. */
export class Sync extends Milter.Base {
  override hello(hostname: string) {
    return hostname ? Milter.CONTINUE : Milter.REJECT;
  }
  override envfrom(sender: string, ...params: string[]) {
    return params.length > 0 && sender ? Milter.CONTINUE : Milter.TEMPFAIL;
  }
  override envrcpt(recipient: string) {
    return recipient ? Milter.CONTINUE : Milter.DISCARD;
  }
  override data() {
    return Milter.CONTINUE;
  }
  override header(name: string, value: string) {
    return name === value ? Milter.SKIP : Milter.NOREPLY;
  }
  override eoh() {
    return Milter.CONTINUE;
  }
  override body(chunk: Buffer) {
    return chunk.length > 10 ? Milter.SKIP : Milter.CONTINUE;
  }
  override eom() {
    return Milter.ACCEPT;
  }
  override unknown(command: string) {
    return command ? Milter.CONTINUE : Milter.REJECT;
  }
  override abort() {
    return Milter.CONTINUE;
  }
  override close() {
    return Milter.CONTINUE;
  }
}

/** And later. */
export class Async extends Milter.Base {
  override async envfrom(sender: string) {
    await Promise.resolve(sender);
    return Milter.CONTINUE;
  }
  override async eom(): Promise<Milter.Status> {
    return Milter.ACCEPT;
  }
  override header(): Milter.Answer {
    return Math.random() > 0.5 ? Milter.CONTINUE : Promise.resolve(Milter.REJECT);
  }
  override body = async (chunk: Buffer) => (chunk.length ? Milter.CONTINUE : Milter.SKIP);
}

/** A forgotten or wrong answer does not compile. */
export class Wrong extends Milter.Base {
  // @ts-expect-error nothing is answered
  override hello(hostname: string) {
    void hostname;
  }
  // @ts-expect-error nothing is answered, later
  override async envfrom(sender: string) {
    await Promise.resolve(sender);
  }
  // @ts-expect-error on one of the ways nothing is answered
  override envrcpt(recipient: string) {
    if (recipient) return Milter.CONTINUE;
    return undefined;
  }
  // @ts-expect-error a boolean is no status
  override data() {
    return true;
  }
  // @ts-expect-error any number is no status
  override header(name: string): number {
    return name.length;
  }
  // @ts-expect-error ALL_OPTS is negotiate's
  override eoh() {
    return Milter.ALL_OPTS;
  }
  // @ts-expect-error a body is bytes
  override body(chunk: string) {
    return chunk ? Milter.CONTINUE : Milter.SKIP;
  }
  // @ts-expect-error a name is no status
  override eom() {
    return 'ACCEPT';
  }
  // @ts-expect-error there is no such argument
  override unknown(command: string, more: string) {
    return command === more ? Milter.CONTINUE : Milter.REJECT;
  }
  // @ts-expect-error abort answers too
  override abort() {}
  // @ts-expect-error pymilter's name is hello
  override helo() {
    return Milter.CONTINUE;
  }
}

export class Negotiating extends Milter.Base {
  override negotiate(options: Milter.NegotiationOptions) {
    const [actions, protocol] = options;
    check<Equal<[typeof actions, typeof protocol], [number, number]>>();
    options[1] &= ~Milter.P_SKIP;
    return super.negotiate(options);
  }
}

export class TakesAll extends Milter.Base {
  override negotiate() {
    return Milter.ALL_OPTS;
  }
}

export class TakesAllLater extends Milter.Base {
  override async negotiate(options: Milter.NegotiationOptions) {
    const answer = await super.negotiate(options);
    return answer === Milter.CONTINUE ? Milter.CONTINUE : Milter.ALL_OPTS;
  }
}

/** Actions and their arguments. */
export class Acting extends Milter.Base {
  override eom() {
    check<Equal<ReturnType<typeof this.getsymval>, string | null>>();
    this.setreply('550', '5.7.1', 'one', 'two');
    this.setreply('550', null, null);
    this.setreply('550');
    this.addheader('X', 'v');
    this.addheader('X', 'v', 0);
    this.chgheader('X', 1, null);
    this.addrcpt('<a@b>', 'NOTIFY=NEVER');
    this.replacebody(Buffer.from('x'));
    this.replacebody(new Uint8Array(3));
    this.chgfrom('<>');
    // @ts-expect-error a code is text
    this.setreply(550, '5.7.1', 'x');
    // @ts-expect-error a header that is added has a value
    this.addheader('X', null);
    // @ts-expect-error the index comes second
    this.chgheader('X', 'v', 1);
    // @ts-expect-error a reason must be given
    this.quarantine();
    // @ts-expect-error a body is text or bytes
    this.replacebody(7);
    // @ts-expect-error no arguments
    this.progress(1);
    return Milter.ACCEPT;
  }
}

export async function running(): Promise<void> {
  check<Equal<ReturnType<typeof Milter.runmilter>, Promise<void>>>();
  await Milter.runmilter('name', 'inet:1', { factory: Sync });
  await Milter.runmilter('name', 'inet:1', { factory: () => new Async(), timeout: 10 });
  // @ts-expect-error a filter is a Base
  await Milter.runmilter('name', 'inet:1', { factory: class {} });
  // @ts-expect-error an object is no factory
  await Milter.runmilter('name', 'inet:1', { factory: new Sync() });
  // @ts-expect-error no such option
  await Milter.runmilter('name', 'inet:1', { factory: Sync, timeOut: 10 });
  // @ts-expect-error milliseconds are a number
  await Milter.runmilter('name', 'inet:1', { handlerTimeout: '10s' });
  // @ts-expect-error a policy is one of four
  Milter.setExceptionPolicy(Milter.DISCARD);
  check<Equal<ReturnType<typeof Milter.getdiag>, [made: number, ended: number]>>();
}
