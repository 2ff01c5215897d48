/**
 * The benchmark's filter in this package, also as the module that workers load.
 *
 * At the end of a message it waits and uses CPU time as configured, and adds a header with what it has seen:
 * `<headers> <body bytes>`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Milter from 'tsmilter';
import { settings } from './settings';
import { work } from './work';

const { wait, turns, noreply } = settings();

/** Handlers for which the MTA need not wait; libmilter cannot do without replies to the body (native/README.md). */
const NOREPLY = ['connect', 'hello', 'envfrom', 'envrcpt', 'data', 'header', 'eoh', 'unknown'];

/** Handlers for every step, which do next to nothing. */
class Plain extends Milter.Base {
  protected macro: string | null = null;
  protected headers = 0;
  protected size = 0;

  override connect(): Milter.Answer {
    return Milter.CONTINUE;
  }

  override hello(): Milter.Answer {
    return Milter.CONTINUE;
  }

  override envfrom(_sender: string): Milter.Answer {
    this.macro = this.getsymval('{mail_addr}');
    this.headers = 0;
    this.size = 0;
    return Milter.CONTINUE;
  }

  override envrcpt(_recipient: string): Milter.Answer {
    return Milter.CONTINUE;
  }

  override data(): Milter.Answer {
    return Milter.CONTINUE;
  }

  override header(_name: string, _value: string): Milter.Answer {
    this.headers++;
    return Milter.CONTINUE;
  }

  override eoh(): Milter.Answer {
    return Milter.CONTINUE;
  }

  @Milter.borrowed
  override body(chunk: Buffer): Milter.Answer {
    this.size += chunk.length;
    return Milter.CONTINUE;
  }

  override eom(): Milter.Answer {
    if (turns > 0) work(turns);
    this.addheader('X-Bench', `${this.headers} ${this.size}`);
    return Milter.CONTINUE;
  }

  override unknown(_command: string): Milter.Answer {
    return Milter.CONTINUE;
  }

  override abort(): Milter.Answer {
    return Milter.CONTINUE;
  }

  override close(): Milter.Answer {
    return Milter.CONTINUE;
  }
}

/** The same, with an answer that has to be awaited. */
class Waiting extends Plain {
  override async eom(): Promise<Milter.Status> {
    await sleep(wait);
    return super.eom();
  }
}

/** Only the awaited handler, which has seen nothing that it could report. */
export class OnlyEom extends Milter.Base {
  override async eom(): Promise<Milter.Status> {
    if (wait > 0) await sleep(wait);
    if (turns > 0) work(turns);
    this.addheader('X-Seen', 'yes');
    return Milter.CONTINUE;
  }
}

export const factory: typeof Plain = wait > 0 ? Waiting : Plain;
if (noreply) Object.assign(factory, { noreply: NOREPLY });
export default factory;
