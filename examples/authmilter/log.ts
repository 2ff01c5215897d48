/** The log of authmilter, a line for each decision. */
import { Log } from '../shared/log';

/** A line holds fields of the message, whose senders choose how long they are. */
const MAX_LINE = 2000;

export const openLog = (name: string): Log => new Log(name, MAX_LINE);
