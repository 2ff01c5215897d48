/**
 * A port of pymilter's sample milter: a filter to run, to read and to copy from.
 *
 *     node sample.js unix:/run/sample/sock [--group postfix] [--mode 660]
 *
 * It discards mail to MAILER-DAEMON, rejects subjects that look like spam, malformed Message-IDs and known bulk mailers, and
 * replaces attachments with dangerous names by a warning. It logs to stdout, and stops on SIGTERM and SIGINT.
 */
import * as Milter from 'tsmilter';
import { SampleFilter } from './sample/filter';
import { readCommandLine } from './shared/command-line';
import { ConfigError } from './shared/config-error';
import { runProgram } from './shared/program';

const USAGE =
  'usage: sample.js SOCKET [--group NAME] [--mode OCTAL]    (SOCKET: unix:/path or inet:port@host)';

function readArguments(): [socket: string, options: Milter.SocketOptions] {
  const { positionals, values } = readCommandLine(USAGE, {
    group: { type: 'string' },
    mode: { type: 'string' },
  });
  const [socket] = positionals;
  if (socket === undefined) throw new ConfigError(`a socket is needed\n${USAGE}`);
  return [
    socket,
    {
      ...(values.group !== undefined && { group: values.group }),
      ...(values.mode !== undefined && { mode: Number.parseInt(values.mode, 8) }),
    },
  ];
}

async function main(): Promise<void> {
  const [socket, socketOptions] = readArguments();
  // The rights that the filter needs: to replace the body, and to change headers if the message itself is an attachment.
  Milter.setFlags(Milter.CHGBODY | Milter.CHGHDRS | Milter.ADDHDRS);
  await Milter.runmilter('sample', socket, {
    ...socketOptions,
    factory: SampleFilter,
    timeout: 600,
    onListening: () => console.log(`sample: listening on ${socket}`),
  });
  console.log('sample: stopped');
}

runProgram('sample', main);
