/** A filter that logs its steps, as a starting point. */

import { CONTINUE } from '../addon/constants.js';
import type { Answer } from '../addon/status.js';
import { writeLine } from '../internal/output.js';
import { printable } from '../internal/printable.js';
import type { Peer } from '../session/hostaddr.js';
import { AnyFilter } from './base.js';
import { noreply } from './decorators.js';
import { uniqueID } from './unique-id.js';

/** Logs each step with {@link Milter.log}; six of its handlers are noreply. pymilter: Milter.Milter. */
export class Milter extends AnyFilter {
  /** Unique in the process. */
  readonly id: number = uniqueID();

  /** Writes a line, in which text of the client cannot begin another one; override it to log elsewhere. */
  log(...message: unknown[]): void {
    writeLine(process.stdout, `[${this.id}] ${printable(message.map(String).join(' '))}`);
  }

  @noreply
  override connect(hostname: string, ...[, hostaddr]: Peer): Answer {
    this.log('connect from', hostname, 'at', JSON.stringify(hostaddr));
    return CONTINUE;
  }

  @noreply
  override hello(hostname: string): Answer {
    this.log('hello from', hostname);
    return CONTINUE;
  }

  @noreply
  override envfrom(sender: string, ...params: string[]): Answer {
    this.log('mail from', sender, ...params);
    return CONTINUE;
  }

  @noreply
  override envrcpt(recipient: string, ...params: string[]): Answer {
    this.log('rcpt to', recipient, ...params);
    return CONTINUE;
  }

  @noreply
  override header(name: string, value: string): Answer {
    this.log(`${name}: ${value}`);
    return CONTINUE;
  }

  @noreply
  override eoh(): Answer {
    this.log('eoh');
    return CONTINUE;
  }

  override eom(): Answer {
    this.log('eom');
    return CONTINUE;
  }

  override abort(): Answer {
    this.log('abort');
    return CONTINUE;
  }

  override close(): Answer {
    this.log('close');
    return CONTINUE;
  }
}
