/**
 * Runs the filter with handlers in JavaScript that C calls through Node-API, without a package between: see javascript.c.
 *
 *     js-in-node.js SOCKET VARIANT WAIT BURN
 */
const CONTINUE = 0;

/** The handlers of filter.ts, as plain as they can be. */
class Bare {
  declare getsymval: (name: string) => string | undefined;
  declare addheader: (name: string, value: string) => void;
  protected macro: string | undefined = undefined;
  protected headers = 0;
  protected size = 0;

  connect(_host: string): number {
    return CONTINUE;
  }

  hello(_name: string): number {
    return CONTINUE;
  }

  envfrom(_sender: string): number {
    this.macro = this.getsymval('{mail_addr}');
    this.headers = 0;
    this.size = 0;
    return CONTINUE;
  }

  envrcpt(_recipient: string): number {
    return CONTINUE;
  }

  data(): number {
    return CONTINUE;
  }

  header(_name: string, _value: string): number {
    this.headers++;
    return CONTINUE;
  }

  eoh(): number {
    return CONTINUE;
  }

  body(memory: ArrayBuffer, at: number, length: number): number {
    const chunk = Buffer.from(memory, at, length);
    this.size += chunk.length;
    return CONTINUE;
  }

  eom(): number {
    this.addheader('X-Bench', `${this.headers} ${this.size}`);
    return CONTINUE;
  }
}

require('./c-filter.node').run(...process.argv.slice(2), () => {}, Bare);
