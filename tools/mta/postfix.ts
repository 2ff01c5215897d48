import * as fs from 'node:fs';
import * as path from 'node:path';
import { type EndpointPorts, type Recipe, startMta } from './daemon';
import { installation } from './installation';
import { parseMilterAddress, postfixSpelling } from './milter-address';
import { filterTimeouts, hostOf, type Mta, type MtaOptions, openEndpoints } from './mta';
import { isolate } from './namespace';
import { fillTemplate } from './template';

/** Starts Postfix; needs root. */
export function startPostfix(options: MtaOptions): Promise<Mta> {
  return startMta(recipe, options);
}

// Postfix needs an account and a group that nothing else uses. These two exist on every Debian and Ubuntu system and own
// nothing there.
const owner = 'news';
const group = 'uucp';

// the folders of the queue that belong to the account
const ownQueues = ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming'];
const ownServices = ['private', 'saved', 'trace'];

const recipe: Recipe = {
  name: 'postfix',
  packageName: 'postfix',

  async prepare(dir, ports, options) {
    const tree = installation();
    const etc = path.join(dir, 'etc');
    const queueDir = path.join(dir, 'queue');
    const log = path.join(dir, 'maillog');
    writeConfig(tree.root, dir, etc, ports, options);
    makeQueue(dir, queueDir);
    // master itself, because the postfix command runs a long shell script of checks first
    const program = path.join(tree.root, 'usr/lib/postfix/sbin/master');
    const { command, args, syslog, release } = await isolate(dir, 'postfix.test', program, ['-c', etc]);
    return {
      command,
      args,
      env: {
        PATH: `${path.join(tree.root, 'usr/sbin')}:/usr/bin:/bin:/usr/sbin:/sbin`,
        MAIL_CONFIG: etc,
        LD_LIBRARY_PATH: tree.libraryPath,
      },
      queueDir,
      // syslog has only the errors from before Postfix opens its own log file
      log: () => syslog() + (fs.existsSync(log) ? fs.readFileSync(log, 'latin1') : ''),
      quarantined: () => {
        const hold = path.join(queueDir, 'hold');
        return fs.readdirSync(hold).map((name) => fs.readFileSync(path.join(hold, name), 'latin1'));
      },
      release,
    };
  },
};

function writeConfig(
  root: string,
  dir: string,
  etc: string,
  ports: EndpointPorts,
  options: MtaOptions,
): void {
  const { connect, command, content } = filterTimeouts(options);
  const main = fillTemplate('main.cf', {
    DIR: dir,
    ROOT: root,
    OWNER: owner,
    GROUP: group,
    SINK_PORT: options.sinkPort,
    FILTER_FAILURE: options.whenFilterFails ?? 'tempfail',
    CONNECT_TIMEOUT: connect,
    COMMAND_TIMEOUT: command,
    CONTENT_TIMEOUT: content,
    EXTRA: options.extraConfig ?? '',
  });
  const master = fillTemplate('master.cf', { ENDPOINTS: endpointLines(ports, options) });
  fs.mkdirSync(etc);
  // the list of plug-ins for lookup tables: none
  fs.writeFileSync(path.join(etc, 'dynamicmaps.cf'), '');
  // Postfix waits if its configuration is less than two seconds old
  const aMinuteAgo = Date.now() / 1000 - 60;
  for (const [name, text] of Object.entries({ 'main.cf': main, 'master.cf': master })) {
    const file = path.join(etc, name);
    fs.writeFileSync(file, text);
    fs.utimesSync(file, aMinuteAgo, aMinuteAgo);
  }
}

function endpointLines(ports: EndpointPorts, options: MtaOptions): string {
  return openEndpoints
    .map((endpoint) => {
      const host = endpoint === 'inet6' ? `[${hostOf(endpoint)}]` : hostOf(endpoint);
      const filters = [options.filters?.[endpoint] ?? []].flat();
      const spelled = filters.map((one) => postfixSpelling(parseMilterAddress(one))).join();
      return `${host}:${ports[endpoint]} inet n - n - 0 smtpd\n  -o smtpd_milters=${spelled}`;
    })
    .join('\n');
}

/** The folders that Postfix's installation script makes, with the owners and modes that Postfix requires. */
function makeQueue(dir: string, queueDir: string): void {
  const user = idOf(owner, '/etc/passwd');
  const poster = idOf(group, '/etc/group');
  makeDir(queueDir, 0o755);
  makeDir(path.join(queueDir, 'pid'), 0o755);
  for (const name of [...ownQueues, ...ownServices]) makeDir(path.join(queueDir, name), 0o700, user);
  makeDir(path.join(queueDir, 'maildrop'), 0o730, user, poster);
  makeDir(path.join(queueDir, 'public'), 0o710, user, poster);
  makeDir(path.join(dir, 'data'), 0o700, user);
}

function makeDir(dir: string, mode: number, uid = 0, gid = 0): void {
  fs.mkdirSync(dir);
  fs.chownSync(dir, uid, gid);
  fs.chmodSync(dir, mode); // not by mkdir, whose mode is reduced by the umask
}

function idOf(name: string, file: string): number {
  const line = fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`));
  if (!line) throw new Error(`${file} has no '${name}', which Postfix is to run as`);
  return Number(line.split(':')[2]);
}
