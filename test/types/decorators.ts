/** Decorators are standard ones, and say where they belong. */
import * as Milter from 'tsmilter';

@Milter.rejectedRecipients
@Milter.headerLeadingSpace
@Milter.immediate
export class Decorated extends Milter.Base {
  @Milter.noreply
  override connect(hostname: string, ...peer: Milter.Peer) {
    return super.connect(hostname, ...peer);
  }

  @Milter.nocallback
  override hello(hostname: string) {
    return hostname ? Milter.CONTINUE : Milter.CONTINUE;
  }

  @Milter.symlist('i', '{auth_authen}')
  @Milter.decode('strict')
  override envfrom(sender: string | Buffer, ...params: (string | Buffer)[]) {
    return Buffer.isBuffer(sender) || params.length > 0 ? Milter.REJECT : Milter.CONTINUE;
  }

  @Milter.decode('bytes')
  override header(name: string, value: string | Buffer) {
    return name.length === value.length ? Milter.CONTINUE : Milter.SKIP;
  }

  @Milter.noreply
  override async body(chunk: Buffer) {
    await Promise.resolve(chunk);
    return Milter.CONTINUE;
  }
}

export class Misused extends Milter.Base {
  // @ts-expect-error a field is no method
  @Milter.noreply count = 0;

  // @ts-expect-error nor is a getter
  @Milter.nocallback get size() {
    return 1;
  }

  // @ts-expect-error macros are text
  @Milter.symlist(1)
  override envrcpt() {
    return Milter.CONTINUE;
  }

  // @ts-expect-error no such policy
  @Milter.decode('latin1')
  override header() {
    return Milter.CONTINUE;
  }

  // @ts-expect-error a mark of classes
  @Milter.immediate
  override eoh() {
    return Milter.CONTINUE;
  }

  // @ts-expect-error it is applied to names, not as it is
  @Milter.symlist
  override data() {
    return Milter.CONTINUE;
  }
}

// @ts-expect-error a mark of methods
@Milter.noreply
export class MisusedClass extends Milter.Base {}

// @ts-expect-error not with experimental decorators' arguments
Milter.noreply(Decorated.prototype, 'connect', {});
