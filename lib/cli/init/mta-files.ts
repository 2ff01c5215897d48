/** What the system needs: the filter's configuration, units of systemd, and lines for the MTA. */
import { type Files, moduleOf, type Project, socketDirectory } from './project.js';

export function mtaFiles(project: Project): Files {
  const { name, mta } = project;
  const line =
    mta === 'sendmail'
      ? { 'mta/sendmail.mc': sendmailLine(project) }
      : { 'mta/main.cf': postfixLines(project) };
  return {
    [`${name}.cfg`]: configuration(project),
    [`systemd/${name}.service`]: service(project),
    [`systemd/${name}.socket`]: socketUnit(project),
    [`systemd/${name}.service.d/socket-activation.conf`]: activation(project),
    ...line,
  };
}

function configuration(project: Project): string {
  return `# Settings of tsmilter run. Other sections are the filter's own: tsmilter/config reads them.
[milter]
name = ${project.name}
filter = ${moduleOf(project)}
socket = unix:${socketDirectory(project)}/sock
mode = 660
# below the MTA's timeout for an answer (see mta/)
handler-timeout = 25s
`;
}

const MTA_UNIT = {
  'postfix-chroot': 'postfix.service',
  postfix: 'postfix.service',
  sendmail: 'sendmail.service',
} as const;

function service(project: Project): string {
  const { name, mta } = project;
  const directory =
    mta === 'postfix-chroot'
      ? `# Its directory is made once: install -d -o ${name} -g postfix -m 0750 ${socketDirectory(project)}\nReadWritePaths=${socketDirectory(project)}`
      : `RuntimeDirectory=${name}\nRuntimeDirectoryMode=0750`;
  return `[Unit]
Description=Mail filter ${name}
Before=${MTA_UNIT[mta]}
After=network.target

[Service]
User=${name}
${mta === 'sendmail' ? '' : 'Group=postfix\n'}UMask=0007
${directory}
ExecStart=/usr/bin/node /opt/${name}/node_modules/tsmilter/dist/cli/tsmilter.js run --config /opt/${name}/${name}.cfg
Restart=on-failure
# longer than drain-timeout
TimeoutStopSec=30
NoNewPrivileges=yes
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

[Install]
WantedBy=multi-user.target
`;
}

function socketUnit(project: Project): string {
  const { name, mta } = project;
  return `# Optional: systemd opens the socket, and starts the filter when the MTA first connects. Needs a libmilter that knows fd:, such as
# Debian's, and ${name}.service.d/socket-activation.conf.
[Unit]
Description=Socket of the mail filter ${name}
Before=${MTA_UNIT[mta]}

[Socket]
ListenStream=${socketDirectory(project)}/sock
SocketUser=${name}
${mta === 'sendmail' ? '' : 'SocketGroup=postfix\n'}SocketMode=0660

[Install]
WantedBy=sockets.target
`;
}

function activation({ name }: Project): string {
  return `[Service]
ExecStart=
ExecStart=/usr/bin/node /opt/${name}/node_modules/tsmilter/dist/cli/tsmilter.js run --config /opt/${name}/${name}.cfg --socket fd:3
`;
}

function sendmailLine(project: Project): string {
  const { name } = project;
  return `dnl For /etc/mail/sendmail.mc. F=T defers mail while the filter is away; without it, mail passes unfiltered.
INPUT_MAIL_FILTER(\`${name}', \`S=local:${socketDirectory(project)}/sock, F=T, T=C:30s;S:10s;R:30s;E:10m')dnl
`;
}

function postfixLines(project: Project): string {
  const { name, mta } = project;
  const path = mta === 'postfix-chroot' ? `${name}/sock` : `${socketDirectory(project)}/sock`;
  const relative = mta === 'postfix-chroot' ? ' The path is relative to the queue directory.' : '';
  return `# For /etc/postfix/main.cf.${relative} tempfail defers mail while the filter is away.
smtpd_milters = unix:${path}
non_smtpd_milters = $smtpd_milters
milter_default_action = tempfail
milter_command_timeout = 30s
`;
}
