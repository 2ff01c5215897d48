/**
 * The ini dialect of Python's ConfigParser.
 *
 * The npm package `ini` reads another dialect: it cuts values at `;` and `#`, removes quotes and backslashes, turns `true` into
 * a boolean, nests sections at dots, supports neither `:` nor continuation lines, and silently uses the last of two equal
 * options. Existing files of pymilter users would change their meaning.
 */
import { configError } from './config-error.js';

/** An option, with the place that errors about it name: `file:line`. */
export interface IniOption {
  /** As it is written. */
  readonly value: string;
  readonly place: string;
}

/** A section with its options by name in lower case. */
export interface IniSection {
  readonly place: string;
  readonly options: Map<string, IniOption>;
}

export type Sections = Map<string, IniSection>;

interface OpenOption {
  readonly name: string;
  readonly indent: number;
  readonly place: string;
  readonly lines: string[];
}

/**
 * Parses a text with lines of the form `[section]`, `name = value` or `name: value`. `#` and `;` at the beginning of a line
 * begin a comment. A line that is indented more than the line of its option continues the value.
 *
 * @param source names the text in errors
 * @throws MilterError ERR_MILTER_CONFIG for any other line, an option before the first section, and a duplicate section or
 *   option
 */
export function readIniText(text: string, source: string): Sections {
  return new IniReader(source).read(text);
}

class IniReader {
  readonly #source: string;
  readonly #sections: Sections = new Map();
  #section: Map<string, IniOption> | undefined;
  #option: OpenOption | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  read(text: string): Sections {
    for (const [at, line] of text.split(/\r\n|\n|\r/).entries())
      this.#readLine(line, `${this.#source}:${at + 1}`);
    this.#closeOption();
    return this.#sections;
  }

  #readLine(line: string, place: string): void {
    const content = line.trim();
    if (content.startsWith('#') || content.startsWith(';')) return;
    const indent = line.length - line.trimStart().length;
    if (this.#option && (content === '' || indent > this.#option.indent)) {
      this.#option.lines.push(content);
    } else if (content !== '') {
      this.#closeOption();
      const header = /^\[(.+)\]/.exec(content)?.[1];
      if (header === undefined) this.#openOption(content, indent, place);
      else this.#openSection(header, place);
    }
  }

  #openSection(name: string, place: string): void {
    if (this.#sections.has(name)) {
      throw configError(`${place}: duplicate section [${name}]; put its options together`);
    }
    this.#section = new Map();
    this.#sections.set(name, { place, options: this.#section });
  }

  #openOption(content: string, indent: number, place: string): void {
    const end = content.search(/[=:]/);
    if (end < 1) {
      throw configError(
        `${place}: the line is neither [section] nor name = value: ${JSON.stringify(content.slice(0, 80))}`,
      );
    }
    const name = content.slice(0, end).trim().toLowerCase();
    if (!this.#section) throw configError(`${place}: the option ${name} comes before the first [section]`);
    if (this.#section.has(name)) {
      throw configError(`${place}: duplicate option ${name} in this section; remove one of them`);
    }
    this.#section.set(name, { value: '', place });
    this.#option = { name, indent, place, lines: [content.slice(end + 1).trim()] };
  }

  /** Empty lines within a value are kept; those after it are removed. */
  #closeOption(): void {
    if (!this.#option) return;
    const { name, place, lines } = this.#option;
    this.#section?.set(name, { value: lines.join('\n').trimEnd(), place });
    this.#option = undefined;
  }
}
