/** Compares what a filter's handlers may take with what the MTA allows. */
import type { Finding } from '../finding.js';
import type { Route } from './route.js';

/** Milliseconds, as options of runmilter. */
export interface FilterTimes {
  readonly handlerTimeout: number;
  readonly progressInterval: number;
}

/** Findings about a route's timeouts; one `ok` if there is nothing to say. */
export function checkTimeouts(route: Route, { handlerTimeout, progressInterval }: FilterTimes): Finding[] {
  const { command, content, progressRestarts, progressWithinCommand, names } = route.timeouts;
  const found: Finding[] = [];
  const warn = (message: string, cure: string) =>
    found.push({ level: 'warning', code: 'timeouts', about: route.where, message, cure });
  if (handlerTimeout === 0 || handlerTimeout > command) {
    warn(
      `${route.mta} waits ${time(command)} for an answer, but a handler may take ${limit(handlerTimeout)}: then the MTA gives the filter up`,
      `raise ${names.command}, or run the filter with a handlerTimeout below ${time(command)}`,
    );
  }
  const mayWait = progressWithinCommand ? Math.min(command, content) : content;
  if (progressInterval === 0 || progressInterval >= mayWait) {
    const often =
      progressInterval === 0
        ? 'without progress messages'
        : `with a progress message every ${time(progressInterval)}`;
    warn(
      `${often}, ${route.mta} gives an eom up that takes ${time(mayWait)}`,
      `set progressInterval below ${time(mayWait)}`,
    );
  }
  if (!progressRestarts && (handlerTimeout === 0 || handlerTimeout > content)) {
    warn(
      `the end of a message may take ${time(content)} in all, but a handler ${limit(handlerTimeout)}; progress messages do not extend it`,
      `raise ${names.content}, or lower handlerTimeout`,
    );
  }
  if (found.length > 0) return found;
  return [
    {
      level: 'ok',
      code: 'timeouts',
      about: route.where,
      message: "the MTA waits longer than the filter's handlers may take",
    },
  ];
}

const time = (milliseconds: number): string => `${milliseconds / 1000} s`;
const limit = (milliseconds: number): string => (milliseconds === 0 ? 'any time' : time(milliseconds));
