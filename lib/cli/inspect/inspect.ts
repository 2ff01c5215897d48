/** `tsmilter inspect`: a filter that shows what an MTA sends, live. It needs neither libmilter nor the addon. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Command } from 'commander';
import { checkSocketSpec } from '../../runtime/socket-spec.js';
import { parseSocketSpec } from '../../testing/wire/socket-spec.js';
import { type CommandContext, type Define, describe, EXIT } from '../command.js';
import { fileMode } from '../values.js';
import { inspectSession } from './session.js';

/** Adds `inspect` to the program. */
export function registerInspect(program: Command, define: Define): void {
  const command = program
    .command('inspect')
    .summary('show each step, argument and macro that an MTA sends')
    .description(
      'Listens as a filter that accepts everything, and shows each step, its arguments and macros as the MTA sends them.\n' +
        'Stop it with SIGINT.',
    )
    .argument('<socket>', 'where to listen: unix:/path, inet:port@host, inet6:port@host')
    .option('--mode <octal>', "the unix socket's permissions, as 660", fileMode);
  describe(command, {
    ok: 'it was stopped by SIGTERM or SIGINT',
    failed: 'it could not listen',
    examples: ['tsmilter inspect inet:8899@127.0.0.1', 'tsmilter inspect unix:/run/inspect/sock --mode 666'],
  });
  define<[string, { mode?: number }]>(command, inspect);
}

async function inspect(
  { output }: CommandContext,
  spec: string,
  { mode }: { mode?: number },
): Promise<number> {
  checkSocketSpec(spec);
  const target = parseSocketSpec(spec);
  let sessions = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    inspectSession(socket, ++sessions, output);
  });
  // Not by chmod, before which others could connect.
  if (mode !== undefined) process.umask(0o777 & ~mode);
  server.listen('path' in target ? { path: target.path } : { host: target.host, port: target.port });
  await once(server, 'listening');
  output.error(`inspect: listening on ${spec}`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  for (const socket of open) socket.destroy();
  server.close(); // which removes the file of a unix socket
  return EXIT.ok;
}
