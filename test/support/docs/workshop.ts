/**
 * A user's project in a temporary folder, with the package installed in it, where the blocks of the documentation are
 * compiled.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../../../tools/project-root';
import { type Block, placeOf } from './pages';

/** The languages that are compiled, and the extensions of their files before and after. */
const EXTENSIONS: Readonly<Record<string, readonly [source: string, compiled: string]>> = {
  ts: ['.ts', '.js'],
  typescript: ['.ts', '.js'],
  js: ['.js', '.js'],
  mjs: ['.mjs', '.mjs'],
  cjs: ['.cjs', '.cjs'],
};

/** What the user has installed besides the package. */
const INSTALLED = ['@types', 'pino'];

/** What a socket in the documentation looks like; it is replaced by one in the temporary folder. */
const SOCKET = /unix:\/run\/[\w./-]+/g;

/** Errors that count in TypeScript only: JavaScript cannot declare the type of a parameter, or write `override`. */
const TYPESCRIPT_ONLY: ReadonlySet<number> = new Set([4119, 7005, 7006, 7019, 7031, 7034]);

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts', 'lib.esnext.decorators.d.ts'],
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  types: ['node'],
  strict: true,
  noImplicitOverride: true,
  allowJs: true,
  checkJs: true,
  skipLibCheck: true,
};

/**
 * A block's text on the lines that it has in its page.
 *
 * @param opening what stands on the line of its opening fence
 * @param before what stands above it already
 */
function numbered(block: Block, opening = '', before?: Block): string {
  const lines = before ? before.line + before.text.split('\n').length - 1 : 0;
  return `${'\n'.repeat(block.line - 1 - lines)}${opening}\n${block.text}`;
}

/** A block that can be run. */
export interface Program {
  readonly block: Block;
  /** The compiled file. */
  readonly file: string;
  /** The socket it listens on; absent where its text has none. */
  readonly socket?: string;
}

export class Workshop {
  readonly programs = new Map<Block, Program>();
  readonly #dir: string;
  readonly #sources = new Map<string, Block>();

  constructor() {
    this.#dir = realpathSync(mkdtempSync(join(tmpdir(), 'docs-')));
    mkdirSync(join(this.#dir, 'node_modules'));
    mkdirSync(join(this.#dir, 'src'));
    writeFileSync(join(this.#dir, 'package.json'), '{ "type": "module" }\n');
    symlinkSync(projectRoot, join(this.#dir, 'node_modules/tsmilter'));
    for (const name of INSTALLED)
      symlinkSync(join(projectRoot, 'node_modules', name), join(this.#dir, 'node_modules', name));
  }

  /** Whether blocks in this language are compiled. */
  static compiles(language: string): boolean {
    return language in EXTENSIONS;
  }

  /**
   * Takes a block in. Line numbers of errors are those of the page.
   *
   * @param before a block of the same page that this one, an excerpt, continues
   */
  add(block: Block, before?: Block): void {
    const [source, compiled] = EXTENSIONS[block.language] as readonly [string, string];
    const number = this.programs.size;
    const socket = `unix:${join(this.#dir, `${number}.sock`)}`;
    const name = `${block.page.replace(/\W+/g, '-')}-${block.line}`;
    const file = join(this.#dir, 'src', `${name}${source}`);
    const text = before
      ? `${numbered(before)}${numbered(block, 'void async function () {', before)}};\n`
      : numbered(block);
    writeFileSync(file, text.replace(SOCKET, socket));
    this.#sources.set(file, block);
    this.programs.set(block, {
      block,
      file: join(this.#dir, 'out', `${name}${compiled}`),
      ...(block.text.search(SOCKET) >= 0 && { socket }),
    });
  }

  /** Compiles all blocks as one program. @returns what is wrong, by place */
  compile(): string[] {
    const program = ts.createProgram({
      rootNames: [...this.#sources.keys()],
      options: { ...OPTIONS, rootDir: join(this.#dir, 'src'), outDir: join(this.#dir, 'out') },
      host: this.#host(),
    });
    const diagnostics = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
    return diagnostics.flatMap((diagnostic) => this.#describe(diagnostic) ?? []);
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Relative paths, such as that of @types, are the temporary project's. */
  #host(): ts.CompilerHost {
    const host = ts.createCompilerHost(OPTIONS);
    host.getCurrentDirectory = () => this.#dir;
    return host;
  }

  #describe({ file, start, code, messageText }: ts.Diagnostic): string | undefined {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    const block = file && this.#sources.get(file.fileName);
    if (!file || !block) return `${file?.fileName ?? 'tsc'}: ${message}`;
    if (TYPESCRIPT_ONLY.has(code) && !file.fileName.endsWith('.ts')) return undefined;
    const { line } = file.getLineAndCharacterOfPosition(start ?? 0);
    return `${block.page}:${line + 1} (block at ${placeOf(block)}): ${message}`;
  }
}
