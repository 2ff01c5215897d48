/** Postfix's main.cf and master.cf, as far as filters are concerned. */

/** The parameters of a main.cf. */
export class PostfixParameters {
  readonly #values = new Map<string, string>();

  constructor(text: string) {
    for (const line of logicalLines(text)) {
      const [, name, value] = /^([\w-]+)\s*=\s*(.*)$/s.exec(line) ?? [];
      if (name !== undefined && value !== undefined) this.#values.set(name, value.trim());
    }
  }

  /** A parameter's value, with the parameters that it refers to; undefined if it is not set. */
  get(name: string): string | undefined {
    const value = this.#values.get(name);
    return value === undefined ? undefined : this.expand(value);
  }

  /** Replaces `$name`, `${name}` and `$(name)`, within limits on depth and length. */
  expand(value: string): string {
    let text = value;
    for (let depth = 0; depth < MAX_DEPTH && text.includes('$') && text.length < MAX_LENGTH; depth++) {
      text = text.replace(/\$(?:\{(\w+)\}|\((\w+)\)|(\w+))/g, (_, ...names: (string | undefined)[]) => {
        return this.#values.get(names.slice(0, 3).find((name) => name !== undefined) ?? '') ?? '';
      });
    }
    return text.slice(0, MAX_LENGTH);
  }
}

const MAX_DEPTH = 10;
const MAX_LENGTH = 65_536;

/** A line of master.cf. */
export interface PostfixService {
  readonly name: string;
  /** The fifth column: y, n or `-` for the default. */
  readonly chroot: string;
  /** The program: smtpd, cleanup, ... */
  readonly program: string;
  /** What `-o` sets for it. */
  readonly overrides: ReadonlyMap<string, string>;
}

/** The services of a master.cf. */
export function readServices(text: string): PostfixService[] {
  return logicalLines(text).flatMap((line): PostfixService[] => {
    const [name, type, , , chroot, , , program, ...args] = line.trim().split(/\s+/);
    if (name === undefined || type === undefined || chroot === undefined || program === undefined) return [];
    return [{ name: `${name}/${type}`, chroot, program, overrides: overridesOf(args.join(' ')) }];
  });
}

/** `-o name=value` and `-o { name = value }`. */
function overridesOf(args: string): ReadonlyMap<string, string> {
  const found = args.matchAll(/-o\s*(?:\{\s*([\w-]+)\s*=\s*((?:[^{}]|\{[^{}]*\})*)\}|([\w-]+)=(\S*))/g);
  return new Map(
    [...found].map(([, braced, inBraces, name, value]) => [
      (braced ?? name) as string,
      (inBraces ?? value ?? '').trim(),
    ]),
  );
}

/** The filters of `smtpd_milters`: separated by commas or white space, or in braces with settings of their own. */
export function readMilters(list: string): { socket: string; settings: ReadonlyMap<string, string> }[] {
  return [...list.matchAll(/\{([^{}]*)\}|([^\s,{}]+)/g)].map(([, braced, plain]) => {
    const [socket = '', ...rest] = (braced ?? plain ?? '')
      .split(/\s*,\s*|\s+(?=\w+\s*=)/)
      .map((part) => part.trim());
    const settings = rest
      .map((part) => part.split(/\s*=\s*/))
      .map(([name = '', value = '']) => [name, value] as const);
    return { socket, settings: new Map(settings) };
  });
}

/** Lines with those that continue them, without comments. */
function logicalLines(text: string): string[] {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    if (/^\s/.test(line) && lines.length > 0) lines.push(`${lines.pop()} ${line.trim()}`);
    else lines.push(line.trimEnd());
  }
  return lines;
}
