/** Errors as text, for logs. */
import { inspect, types } from 'node:util';

/**
 * An error as text, with its stack. Its message may quote the client, so lines after the first are indented: they cannot be taken
 * for another message. Anything can be thrown, including objects that inspect() fails on.
 */
export function errorText(error: unknown): string {
  try {
    return inspect(error).replace(/\n(?=\S)/g, '\n    ');
  } catch {
    return 'a value that cannot be printed';
  }
}

/** An error's name and message in one line. */
export function errorSummary(error: unknown): string {
  if (!types.isNativeError(error)) return inspect(error);
  return `${error.name}: ${error.message}`.split('\n', 1)[0] as string;
}
