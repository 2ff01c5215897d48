/**
 * Filters that hold each message until the last one has come, so that all of them are there at the same time.
 *
 *     filter.js SOCKET VARIANT MESSAGES
 *
 * VARIANT is `eom` (no handler for bodies, so that none is sent), `plain` (bodies are counted), `memory` (the bodies of
 * tsmilter/message with its defaults) or `files` (the same, all of them in files). Prints `listening`, and `held` with the bytes of
 * resident memory when the last message has come.
 */
import * as Milter from 'tsmilter';
import { MessageFilter, type StorageOptions } from 'tsmilter/message';

const [, , socket = '', variant = '', messages = ''] = process.argv;

let missing = Number(messages);
let release = () => {};
const released = new Promise<void>((resolve) => {
  release = resolve;
});

/** Resolves when all messages have come. */
function allHeld(): Promise<void> {
  if (--missing === 0) {
    console.log(`held ${process.memoryUsage.rss()}`);
    release();
  }
  return released;
}

class OnlyEom extends Milter.Base {
  override async eom(): Promise<Milter.Status> {
    await allHeld();
    return Milter.ACCEPT;
  }
}

class Plain extends OnlyEom {
  protected size = 0;

  @Milter.borrowed
  override body(chunk: Buffer): Milter.Answer {
    this.size += chunk.length;
    return Milter.CONTINUE;
  }
}

class InMemory extends MessageFilter {
  protected override async message(): Promise<Milter.Status> {
    await allHeld();
    return Milter.ACCEPT;
  }
}

class InFiles extends InMemory {
  static override readonly storage: StorageOptions = { maxMemory: 0 };
}

const factories: Readonly<Record<string, Milter.Factory>> = {
  eom: OnlyEom,
  plain: Plain,
  memory: InMemory,
  files: InFiles,
};
const factory = factories[variant];
if (!factory) throw new Error(`unknown variant '${variant}'`);
const onListening = () => console.log('listening');
void Milter.runmilter('bench', socket, { factory, logger: false, onListening });
