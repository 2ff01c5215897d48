import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { TIMEOUT } from '../wait';
import { type EndpointPorts, type Recipe, startMta } from './daemon';
import { nameHostWithDot } from './host-name';
import { type Installation, installation } from './installation';
import { parseMilterAddress, sendmailSpelling } from './milter-address';
import { filterTimeouts, hostOf, type Mta, type MtaOptions, openEndpoints } from './mta';
import { isolate } from './namespace';
import { Relay } from './relay';
import { fillTemplate } from './template';

/** Starts Sendmail; needs root. */
export function startSendmail(options: MtaOptions): Promise<Mta> {
  return startMta(recipe, options);
}

const recipe: Recipe = {
  name: 'sendmail',
  packageName: 'sendmail-bin',

  async prepare(dir, ports, options) {
    const tree = installation();
    const queueDir = path.join(dir, 'queue');
    fs.mkdirSync(queueDir, { mode: 0o700 });
    const config = await writeConfig(tree, dir, ports, options);
    // -X writes the SMTP and milter traffic to a file, the log where syslog is not received
    const traffic = path.join(dir, 'traffic');
    fs.writeFileSync(traffic, '');
    const program = path.join(tree.root, 'usr/libexec/sendmail/sendmail');
    const launch = await isolate(dir, 'sendmail.test', program, ['-C', config, '-bD']);
    const restoreHostName = launch.isolated ? () => {} : nameHostWithDot();
    const relay = await Relay.listen(path.join(dir, 'sink'), options.sinkPort);
    return {
      command: launch.command,
      args: launch.isolated ? launch.args : [...launch.args, '-X', traffic],
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LD_LIBRARY_PATH: tree.libraryPath },
      queueDir,
      log: () => launch.syslog() + fs.readFileSync(traffic, 'latin1'),
      quarantined: () =>
        fs
          .readdirSync(queueDir)
          .filter((name) => name.startsWith('hf'))
          .map((name) => fs.readFileSync(path.join(queueDir, name), 'latin1')),
      release: () => {
        launch.release();
        restoreHostName();
        relay.close();
      },
    };
  },
};

async function writeConfig(
  tree: Installation,
  dir: string,
  ports: EndpointPorts,
  options: MtaOptions,
): Promise<string> {
  fs.writeFileSync(path.join(dir, 'service.switch'), 'hosts\tfiles\naliases\tfiles\npasswd\tfiles\n');
  fs.writeFileSync(path.join(dir, 'local-host-names'), '');
  const source = path.join(dir, 'sendmail.mc');
  fs.writeFileSync(
    source,
    fillTemplate('sendmail.mc', {
      DIR: dir,
      FILTERS: filterLines(options),
      ENDPOINTS: endpointLines(ports, options),
      EXTRA: options.extraConfig ?? '',
    }),
  );
  const cf = path.join(tree.root, 'usr/share/sendmail/cf/');
  const m4 = path.join(tree.root, 'usr/bin/m4');
  const { stdout } = await promisify(execFile)(m4, [`-D_CF_DIR_=${cf}`, path.join(cf, 'm4/cf.m4'), source], {
    env: { LD_LIBRARY_PATH: tree.libraryPath },
    maxBuffer: 1 << 24,
    timeout: TIMEOUT,
  });
  const config = path.join(dir, 'sendmail.cf');
  fs.writeFileSync(config, stdout, { mode: 0o644 });
  return config;
}

/** The name of an endpoint's filters in Sendmail's configuration: the endpoint's own for the first. */
function filterName(endpoint: string, nth: number): string {
  return nth === 0 ? endpoint : `${endpoint}${nth}`;
}

function filterLines(options: MtaOptions): string {
  const { connect, command, content } = filterTimeouts(options);
  const failure = { tempfail: 'F=T, ', reject: 'F=R, ', accept: '' }[options.whenFilterFails ?? 'tempfail'];
  const times = `T=C:${connect}s;S:${command}s;R:${command}s;E:${content}s`;
  return Object.entries(options.filters ?? {})
    .flatMap(([endpoint, addresses]) =>
      [addresses].flat().map((address, at) => {
        const socket = sendmailSpelling(parseMilterAddress(address));
        return `MAIL_FILTER(\`${filterName(endpoint, at)}', \`S=${socket}, ${failure}${times}')dnl`;
      }),
    )
    .join('\n');
}

function endpointLines(ports: EndpointPorts, options: MtaOptions): string {
  return openEndpoints
    .map((endpoint) => {
      const family = endpoint === 'inet6' ? 'inet6' : 'inet';
      const settings = [
        `Family=${family}`,
        `Addr=${hostOf(endpoint)}`,
        `Port=${ports[endpoint]}`,
        `Name=${endpoint}`,
      ];
      const names = [options.filters?.[endpoint] ?? []].flat().map((_, at) => filterName(endpoint, at));
      if (names.length > 0) settings.push(`InputMailFilters=${names.join(';')}`);
      return `DAEMON_OPTIONS(\`${settings.join(', ')}')dnl`;
    })
    .join('\n');
}
