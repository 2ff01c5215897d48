/** What the system needs: the filter's configuration, units of systemd, and lines for the MTA. */
import { type Files, moduleOf, type Project, socketDirectory } from './project.js';
import { serviceUnit, socketUnit, type UnitOptions } from './units.js';

export function mtaFiles(project: Project): Files {
  const { name, mta } = project;
  const line =
    mta === 'sendmail'
      ? { 'mta/sendmail.mc': sendmailLine(project) }
      : { 'mta/main.cf': postfixLines(project) };
  return {
    [`${name}.cfg`]: configuration(project),
    [`systemd/${name}.service`]: serviceUnit(unitOptions(project)),
    [`systemd/${name}.socket`]: socketFile(project),
    [`systemd/${name}.service.d/socket-activation.conf`]: activation(unitOptions(project)),
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

function unitOptions({ name, mta }: Project): UnitOptions {
  const command = `/usr/bin/node /opt/${name}/node_modules/tsmilter/dist/cli/tsmilter.js run --config /opt/${name}/${name}.cfg`;
  return { name, description: `Mail filter ${name}`, mtas: [mta], command };
}

function socketFile(project: Project): string {
  return `# Optional: systemd opens the socket, and starts the filter when the MTA first connects. Needs a libmilter that knows fd:, such as
# Debian's, and ${project.name}.service.d/socket-activation.conf.
${socketUnit(unitOptions(project))}`;
}

function activation({ command }: UnitOptions): string {
  return `[Service]
ExecStart=
ExecStart=${command} --socket fd:3
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
