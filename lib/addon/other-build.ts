/** Recognises an addon that was built for another Node.js or another machine than this process. */
import { readFileSync } from 'node:fs';

/**
 * What the dynamic loader and Node.js say about such a file: an older kind of addon, a Node.js that is a shared library and is
 * not there, functions of Node-API, Node or V8 that this Node.js does not have (glibc and musl), another architecture.
 */
const SAID_OF_OTHER_BUILDS =
  /NODE_MODULE_VERSION|libnode\.so|(?:undefined symbol: |: )(?:napi_|node_api_|_ZNK?(?:2v8|4node))|invalid ELF header|wrong ELF class|Exec format error|incompatible architecture/;

/** Whether the error of loading an addon says that it was built for another Node.js or machine. */
export function isOtherBuild(error: unknown): boolean {
  return error instanceof Error && SAID_OF_OTHER_BUILDS.test(error.message);
}

/** The shared library that this process has its Node.js from, such as `libnode.so.115`; null if Node.js is the program itself. */
function ownLibrary(): string | null {
  const { node_shared, shlib_suffix } = process.config.variables as Record<string, unknown>;
  return node_shared === true || node_shared === 'true' ? `libnode.${String(shlib_suffix)}` : null;
}

/**
 * The library of another Node.js that the addon in `file` needs, or null. Where that library is installed, loading the addon
 * would not fail: it would bring a second Node.js into the process, with random errors and crashes.
 */
export function otherNodeNeeded(file: string): string | null {
  const bytes = readFileSync(file);
  // The names of the libraries that a file needs are strings in it that end in NUL.
  const start = bytes.indexOf('\0libnode.so') + 1;
  if (start === 0) return null;
  const name = bytes.toString('latin1', start, bytes.indexOf(0, start));
  return name === ownLibrary() ? null : name;
}
