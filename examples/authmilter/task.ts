/** What is done with the mail of a client. */
import { ConfigError } from '../shared/config-error';
import type { Place } from '../shared/networks';
import { choice, list, type Option, wordOf } from '../shared/options';
import type { Config } from './config';

export const TASKS = ['verify', 'sign', 'both', 'none'] as const;
export type Task = (typeof TASKS)[number];

export const verifies = (task: Task): boolean => task === 'verify' || task === 'both';
export const signs = (task: Task): boolean => task === 'sign' || task === 'both';

const ports = list(
  'by the name of the port that the client connected to, what is done: `submission sign, lists both`',
);

/** Tasks by the name of a port, which is {daemon_name} in lower case. */
export const portTasks: Option<ReadonlyMap<string, Task>> = {
  ...ports,
  async read(value, context) {
    const entries = await ports.read(value, context);
    return new Map(entries.map(portTask));
  },
};

function portTask(entry: string): [port: string, task: Task] {
  const [port = '', task = '', ...more] = entry.split(/\s+/);
  if (task === '' || more.length > 0)
    throw new ConfigError(`${entry} is not a name and what is done, such as submission sign`);
  return [port.toLowerCase(), wordOf(task, TASKS)];
}

const external = choice('with mail of all others, who may not have it signed', TASKS, 'verify');

/** The task for mail of strangers. */
export const externalTask: Option<Task> = {
  ...external,
  async read(value, context) {
    const task = await external.read(value, context);
    if (signs(task)) throw new ConfigError(`${task} would sign the mail of strangers with your keys`);
    return task;
  },
};

/** What is known of a client when it sends MAIL. */
export interface Client {
  readonly place: Place;
  /** Who has logged in, or null. */
  readonly user: string | null;
  /** The name of the port that the client has connected to, or null. */
  readonly port: string | null;
}

/** What is done with a message, and because of what: the port decides first, then the login, then the address. */
export function taskFor(client: Client, clients: Config['clients']): { task: Task; because: string } {
  const { place, user, port } = client;
  const ofPort = port === null ? undefined : clients.ports.get(port.toLowerCase());
  if (ofPort !== undefined) return { task: ofPort, because: `port ${port}` };
  if (user !== null) return { task: clients.authenticated, because: `user ${user}` };
  return { task: clients[place], because: `${place} client` };
}
