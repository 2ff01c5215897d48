/** The README of a new project: from the first test to the first mail. */
import { type Project, socketDirectory } from './project.js';

const RESTART = {
  'postfix-chroot': 'append mta/main.cf to /etc/postfix/main.cf, then `postfix reload`',
  postfix: 'append mta/main.cf to /etc/postfix/main.cf, then `postfix reload`',
  sendmail:
    'add the line of mta/sendmail.mc to /etc/mail/sendmail.mc, then `make -C /etc/mail` and restart Sendmail',
} as const;

export function readmeFile(project: Project): string {
  const { name, language, mta } = project;
  const source = language === 'typescript' ? 'src/filter.ts' : 'filter.js';
  const build =
    language === 'typescript' ? 'npm ci && npm run build && npm prune --omit=dev' : 'npm ci --omit=dev';
  const steps = [
    `useradd --system --user-group --no-create-home --home-dir /opt/${name} --shell /usr/sbin/nologin ${name}`,
    `cd /opt/${name} && ${build}`,
    ...(mta === 'postfix-chroot'
      ? [`install -d -o ${name} -g postfix -m 0750 ${socketDirectory(project)}`]
      : []),
    `cp systemd/${name}.service /etc/systemd/system/`,
    `systemctl daemon-reload && systemctl enable --now ${name}`,
  ];
  return `# ${name}

A mail filter, written with [tsmilter](https://www.npmjs.com/package/tsmilter). It is in \`${source}\`.

    npm install    # builds the native part: needs libmilter's development files, a compiler and Python
    npm test       # runs the filter on messages, without an MTA
    npm start      # listens on ${name}.sock in this directory

In another terminal, play the MTA:

    npx tsmilter send unix:${name}.sock message.eml

\`npm run dev\` starts the filter again whenever its files change.

## Deploy

As root, with this directory in /opt/${name}:

${steps.map((step) => `    ${step}`).join('\n')}

Then ${RESTART[mta]}. If no mail arrives at the filter, \`npx tsmilter doctor --config ${name}.cfg\` says why.
`;
}
