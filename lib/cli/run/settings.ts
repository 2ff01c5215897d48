/** The settings of `tsmilter run`: each is an option of the command line and a line of the configuration file. */
import { LOG_LEVELS, type LogLevel } from '../../internal/logger.js';
import type { RunOptions } from '../../runmilter.js';
import {
  asIs,
  count,
  duration,
  fileMode,
  metricsAddress,
  oneOf,
  type Parse,
  size,
  truth,
} from '../values.js';

/** What should happen to a message whose handler fails, by the name that {@link setExceptionPolicy} has for it. */
export type OnError = 'tempfail' | 'reject' | 'accept' | 'continue';

/** All settings; undefined ones keep the defaults of runmilter. */
export interface RunSettings
  extends Pick<
    RunOptions,
    | 'mode'
    | 'owner'
    | 'group'
    | 'workers'
    | 'timeout'
    | 'backlog'
    | 'debug'
    | 'handlerTimeout'
    | 'progressInterval'
    | 'immediate'
    | 'maxBuffered'
    | 'drainTimeout'
    | 'removeSocket'
    | 'uncaughtErrors'
    | 'logFormat'
    | 'metrics'
  > {
  filter?: string;
  name?: string;
  socket?: string;
  maxMemory?: number;
  onError?: OnError;
  /** `none` turns the log off. */
  logLevel?: LogLevel | 'none';
}

/** How a setting is written. */
export interface Setting<Value> {
  /** What stands for the value in the help; '' for a switch, which is true if it is given. */
  readonly value: string;
  readonly about: string;
  readonly parse: Parse<Value>;
}

const seconds: Parse<number> = (text) => Math.ceil(duration(text) / 1000);
const mebibytes: Parse<number> = (text) => Math.max(1, Math.floor(size(text) / 1024 ** 2));

/** By the property of {@link RunSettings}. `filter` is an argument on the command line. */
export const SETTINGS: {
  readonly [Name in Exclude<keyof RunSettings, 'filter'>]-?: Setting<NonNullable<RunSettings[Name]>>;
} = {
  socket: {
    value: '<socket>',
    about: 'where to listen: unix:/path, inet:port@host, inet6:port@host, fd:N, fd:NAME',
    parse: asIs,
  },
  name: {
    value: '<name>',
    about: "the filter's name in replies and logs; default: the file's name",
    parse: asIs,
  },
  mode: { value: '<octal>', about: "the unix socket's permissions, as 660", parse: fileMode },
  owner: { value: '<user>', about: "the unix socket's owner", parse: asIs },
  group: { value: '<group>', about: "the unix socket's group", parse: asIs },
  removeSocket: {
    value: '<yes|no>',
    about: 'whether to remove a socket file on which nothing listens; default: yes',
    parse: truth,
  },
  workers: { value: '<n>', about: 'worker threads; default: one for each core', parse: count(1, 1024) },
  maxMemory: { value: '<size>', about: "limit on each worker's JavaScript heap, as 512M", parse: mebibytes },
  handlerTimeout: {
    value: '<time>',
    about: 'the longest that a handler may take; default: 5m',
    parse: duration,
  },
  progressInterval: {
    value: '<time>',
    about: 'how often the MTA is asked for more time at the end of a message; default: 5s',
    parse: duration,
  },
  onError: {
    value: '<verdict>',
    about: 'for messages whose handler fails: tempfail (default), reject, accept, continue',
    parse: oneOf('tempfail', 'reject', 'accept', 'continue'),
  },
  uncaughtErrors: {
    value: '<what>',
    about: 'after an error outside the handlers: exit (default) or report',
    parse: oneOf('exit', 'report'),
  },
  drainTimeout: {
    value: '<time>',
    about: 'what sessions get to finish at a stop; default: 10s',
    parse: duration,
  },
  timeout: {
    value: '<time>',
    about: 'the longest that the MTA may take for its next command; default: 7210s',
    parse: seconds,
  },
  immediate: { value: '', about: 'answer each header and chunk of the body by itself', parse: truth },
  maxBuffered: {
    value: '<size>',
    about: 'memory for events that wait, all sessions together; default: 64M',
    parse: size,
  },
  logFormat: { value: '<format>', about: 'lines of text (default) or of JSON', parse: oneOf('text', 'json') },
  logLevel: {
    value: '<level>',
    about: `the least serious level of the log: ${LOG_LEVELS.join(', ')}; or none; default: info`,
    parse: oneOf(...LOG_LEVELS, 'none'),
  },
  metrics: {
    value: '<address>',
    about: 'serve metrics for Prometheus and health by HTTP: inet:port, inet:port@address, unix:/path',
    parse: metricsAddress,
  },
  backlog: { value: '<n>', about: 'connections that may wait to be accepted', parse: count(1) },
  debug: { value: '<level>', about: "libmilter's own trace on stdout, 0 to 6", parse: count(0, 6) },
};

/** The name of a setting in options and files: `handlerTimeout` is `handler-timeout`. */
export const spelling = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
