/** The envelope of a stored message: from options, or from what its last delivery has left in the header. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import type { MessageContent } from '../../testing/simulator/message-source.js';

/** An address and its ESMTP parameters. */
type Path = readonly [address: string, ...params: string[]];

/** The envelope of a stored message. */
export interface StoredEnvelope {
  readonly sender: Path;
  readonly recipients: readonly Path[];
}

export interface EnvelopeOptions {
  from?: Path;
  to?: readonly Path[];
}

const SENDER: Path = ['<sender@example.com>'];
const RECIPIENT: Path = ['<recipient@example.com>'];

/** Adds the options to a subcommand. */
export function addEnvelopeOptions(command: Command): Command {
  return command
    .option(
      '--from <address>',
      "MAIL FROM, with ESMTP parameters after a space; default: the message's Return-Path",
      path,
    )
    .option(
      '--to <address>',
      "RCPT TO, the same, may be repeated; default: the message's Delivered-To or X-Original-To",
      (text: string, previous: readonly Path[] = []) => [...previous, path(text)],
    );
}

/** The envelope that a message is sent with. @param mailboxSender the sender that a mailbox has for it */
export function envelopeOf(
  { headers }: MessageContent,
  { from, to }: EnvelopeOptions,
  mailboxSender?: string,
): StoredEnvelope {
  const stored = (name: string): Path | undefined => {
    const value = headers.find(([found]) => found.toLowerCase() === name)?.[1].trim();
    return value === undefined || /[\s\0]/.test(value) ? undefined : [inBrackets(value)];
  };
  const recipient = () => stored('delivered-to') ?? stored('x-original-to') ?? RECIPIENT;
  return {
    sender: from ?? stored('return-path') ?? (mailboxSender === undefined ? SENDER : [mailboxSender]),
    recipients: to ?? [recipient()],
  };
}

function path(text: string): Path {
  const [address = '', ...params] = text.trim().split(/\s+/);
  if (text.includes('\0')) throw new InvalidArgumentError('An address has no NUL.');
  return [inBrackets(address), ...params];
}

const inBrackets = (address: string): string => (/^<.*>$/s.test(address) ? address : `<${address}>`);
