#!/usr/bin/env node
'use strict';
/**
 * Writes examples/systemd from lib/cli/init/units.ts, where `tsmilter init` has its units from. Run it after a build.
 *
 *     node scripts/generate-units.js            # writes the files
 *     node scripts/generate-units.js --check    # exit code 1 if one is not what it would write
 */
const fs = require('node:fs');
const path = require('node:path');
const { serviceUnit, socketUnit } = require('../dist/cli/init/units.js');

const top = path.join(__dirname, '..', 'examples', 'systemd');

const optionsFor = (socket, ...mtas) => ({
  name: 'nolottery',
  description: 'Mail filter against lotteries',
  mtas,
  command: `/usr/bin/node /opt/nolottery/filter.js ${socket}`,
});
const chroot = optionsFor('unix:/var/spool/postfix/nolottery/sock', 'postfix-chroot');
const run = optionsFor('unix:/run/nolottery/sock', 'postfix', 'sendmail');
const activated = optionsFor('fd:3', 'postfix-chroot', 'sendmail');

const FILES = {
  'postfix-chroot/nolottery.service': `# For Postfix as Debian and Ubuntu configure it: smtpd runs in the chroot /var/spool/postfix, so the socket is in there.
${serviceUnit(chroot)}`,
  'run/nolottery.service': `# For Sendmail, and for Postfix where smtpd does not run in a chroot: the socket is /run/nolottery/sock.
# For Sendmail alone, delete Group=postfix.
${serviceUnit(run)}`,
  'socket-activation/nolottery.service': `# Started by nolottery.socket, which is the unit to enable. The filter opens no socket by itself, so it needs no directory
# that it can write to.
${serviceUnit(activated, true)}`,
  'socket-activation/nolottery.socket': `# systemd opens the socket and starts nolottery.service when the MTA first connects. Here the socket is in the chroot of
# Debian's Postfix; for Sendmail, use ListenStream=/run/nolottery/sock and delete SocketGroup=.
${socketUnit(activated)}`,
};

const others = Object.entries(FILES).filter(([name, text]) => {
  const file = path.join(top, name);
  return !fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text;
});
if (process.argv[2] === '--check') {
  for (const [name] of others)
    console.error(`examples/systemd/${name} is out of date: node scripts/generate-units.js`);
  process.exitCode = others.length > 0 ? 1 : 0;
} else {
  for (const [name, text] of others) fs.writeFileSync(path.join(top, name), text);
}
