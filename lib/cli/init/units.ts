/** Units of systemd for a filter. `tsmilter init` writes them, and those of examples/systemd are made of the same (scripts/generate-units.js). */
import { type MtaKind, socketDirectory } from './project.js';

/** The filter that a unit runs. */
export interface UnitOptions {
  /** Of the unit, its user, and its directories. */
  readonly name: string;
  readonly description: string;
  /** The MTAs that connect to it: `postfix` and `sendmail` also together. */
  readonly mtas: readonly MtaKind[];
  /** What starts it. */
  readonly command: string;
}

const unitOf = (mta: MtaKind): string => (mta === 'sendmail' ? 'sendmail.service' : 'postfix.service');
const before = ({ mtas }: UnitOptions): string => `Before=${[...new Set(mtas.map(unitOf))].join(' ')}`;
const isForPostfix = ({ mtas }: UnitOptions): boolean => mtas.some((mta) => mta !== 'sendmail');

/**
 * What the filter may do: nothing of root's, and nothing to the system. `systemd-analyze security` rates it at 1.7 of 10.
 * systemd's own @system-service is not narrowed, because libraries of a filter may need any of it.
 */
const SANDBOX = `NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
# Node.js compiles JavaScript to machine code in memory, and would not start with MemoryDenyWriteExecute=yes.
MemoryDenyWriteExecute=no`;

/** Where the filter makes its socket. */
function ownSocket({ name, mtas }: UnitOptions): string[] {
  const [mta] = mtas as [MtaKind];
  if (mta !== 'postfix-chroot') return [`RuntimeDirectory=${name}`, 'RuntimeDirectoryMode=0750'];
  const directory = socketDirectory({ name, mta });
  return [
    `# Its directory is made once: install -d -o ${name} -g postfix -m 0750 ${directory}`,
    `ReadWritePaths=${directory}`,
  ];
}

/** The service. @param activated whether systemd passes it a socket; otherwise it makes its own */
export function serviceUnit(options: UnitOptions, activated = false): string {
  const { name, description, command } = options;
  const socket = activated
    ? []
    : [...(isForPostfix(options) ? ['Group=postfix'] : []), 'UMask=0007', ...ownSocket(options)];
  return `[Unit]
Description=${description}
${activated ? `Requires=${name}.socket` : before(options)}
After=network.target

[Service]
Type=notify
User=${name}
${[...socket, `ExecStart=${command}`].join('\n')}
ExecReload=kill -HUP $MAINPID
Restart=on-failure
# a filter whose event loop is blocked for that long is restarted
WatchdogSec=30
# longer than drain-timeout
TimeoutStopSec=30
${SANDBOX}

[Install]
${activated ? `Also=${name}.socket` : 'WantedBy=multi-user.target'}
`;
}

/** The socket that systemd opens. */
export function socketUnit(options: UnitOptions): string {
  const { name, mtas } = options;
  return `[Unit]
Description=Socket of the ${options.description.replace(/^Mail/, 'mail')}
${before(options)}

[Socket]
ListenStream=${socketDirectory({ name, mta: mtas[0] as MtaKind })}/sock
SocketUser=${name}
${isForPostfix(options) ? 'SocketGroup=postfix\n' : ''}SocketMode=0660

[Install]
WantedBy=sockets.target
`;
}
