/** Real content scanners on loopback: clamd, spamd and rspamd, each with rules of the tests' own. */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePorts } from './free-ports';
import { installation } from './mta/installation';
import { privateDirectory } from './private-directory';
import { RedisServer } from './redis';
import { SupervisedProcess } from './supervised-process';
import { until } from './wait';

/** clamd needs a while for its first start, spamd for its Perl modules. */
const START = 120_000;

/** The user `nobody` of Debian. */
const NOBODY = 65_534;

/** The EICAR test text, which every virus scanner is to find. In two pieces, so that none finds it here. */
export const EICAR = ['X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-', 'ANTIVIRUS-TEST-FILE!$H+H*'].join('');

/** A subject that spamd's and rspamd's rule finds. */
export const SPAM_SUBJECT = 'buy our pills';

/** A scanner's process and where it listens. */
export interface Scanner extends AsyncDisposable {
  readonly path?: string;
  readonly port?: number;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Recipe {
  readonly name: string;
  readonly dir: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly at: { readonly path: string } | { readonly port: number };
  readonly env?: Readonly<Record<string, string>>;
}

async function start({ name, dir, command, args, at, env = {} }: Recipe): Promise<Scanner> {
  const { libraryPath } = installation();
  const process = new SupervisedProcess({
    dir,
    command,
    args,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: dir, LD_LIBRARY_PATH: libraryPath, ...env },
  });
  const listening = () => {
    if (process.ended !== undefined) throw new Error(`${name} ended: ${process.ended}\n${process.output}`);
    return accepts(at);
  };
  try {
    await until(`${name} to listen`, listening, START, () => process.output);
  } catch (error) {
    await process.stop();
    throw error;
  }
  const stop = () => process.stop();
  return { ...at, pid: process.pid as number, stop, [Symbol.asyncDispose]: stop };
}

function accepts(at: { path: string } | { port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect('path' in at ? at : { ...at, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

const program = (name: string) => join(installation().root, 'usr', name);

/** clamd with one signature: its database cannot be had without a network. @param maxStream bytes of a message */
export async function startClamd({ tcp = false, maxStream = 10_000_000 } = {}): Promise<Scanner> {
  const dir = privateDirectory('clamd');
  const database = join(dir, 'db');
  mkdirSync(database);
  writeFileSync(join(database, 'test.ndb'), `Test.Eicar:0:*:${Buffer.from(EICAR).toString('hex')}\n`);
  const [port] = await freePorts(1);
  const at = tcp ? { port: port as number } : { path: join(dir, 'sock') };
  const config = join(dir, 'clamd.conf');
  const lines = [
    'port' in at ? `TCPSocket ${at.port}\nTCPAddr 127.0.0.1` : `LocalSocket ${at.path}`,
    `DatabaseDirectory ${database}`,
    `TemporaryDirectory ${dir}`,
    `StreamMaxLength ${maxStream}`,
    'Foreground yes',
    'MaxThreads 4',
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  return start({ name: 'clamd', dir, command: program('sbin/clamd'), args: ['--config-file', config], at });
}

/** spamd with one rule. */
export async function startSpamd(): Promise<Scanner> {
  // spamd gives up root's rights, so that its user must be let through to its database.
  const dir = privateDirectory('spamd', 0o711);
  const rules = join(dir, 'rules');
  const database = join(dir, 'database');
  mkdirSync(rules);
  mkdirSync(database, { mode: 0o700 });
  chownSync(database, NOBODY, NOBODY);
  writeFileSync(
    join(rules, 'test.cf'),
    [
      'loadplugin Mail::SpamAssassin::Plugin::Check',
      'loadplugin Mail::SpamAssassin::Plugin::Bayes',
      'required_score 5',
      'report _SUMMARY_',
      'header SELLS Subject =~ /pills/',
      'describe SELLS Sells something',
      'score SELLS 8',
      'bayes_auto_learn 0',
      `bayes_path ${join(database, 'bayes')}`,
      'use_bayes 1',
      'body BAYES_99 eval:check_bayes("0.99", "1.00")',
      '',
    ].join('\n'),
  );
  const at = { path: join(dir, 'sock') };
  const args = [
    ...['-T', program('sbin/spamd'), '--local', '--nouser-config', '--allow-tell', '--syslog=stderr'],
    ...[`--socketpath=${at.path}`, `--configpath=${rules}`, `--siteconfigpath=${rules}`],
    ...[
      '--max-children=2',
      '--username=nobody',
      `--pidfile=${join(dir, 'pid')}`,
      `--helper-home-dir=${database}`,
    ],
  ];
  return start({ name: 'spamd', dir, command: '/usr/bin/perl', args, at });
}

/**
 * rspamd with one rule, and its controller. What it has learnt is in Redis: in files of SQLite, its two processes lock each other
 * out where the disk is slow ("cannot commit checkpoint: database is locked").
 */
export async function startRspamd(): Promise<
  Scanner & { readonly controller: number; readonly password: string }
> {
  const dir = privateDirectory('rspamd');
  const [port, controller] = (await freePorts(2)) as [number, number];
  const password = 'secret';
  const redis = await RedisServer.start();
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text);
    return JSON.stringify(join(dir, name));
  };
  const rule = `rspamd_config.SELLS = {
  score = 20.0,
  description = 'Sells something',
  callback = function(task)
    local subject = task:get_subject() or ''
    local from = task:get_from('smtp')
    if subject:find('pills') then
      return true, 1.0, tostring(task:get_from_ip()), task:get_helo() or '', from and from[1] and from[1].addr or '', task:get_queue_id() or ''
    end
  end
}
`;
  const folder = JSON.stringify(dir);
  const config = `options {
  filters = "regexp"; tempdir = ${folder}; hs_cache_dir = ${folder}; rrd = "/dev/null";
  pidfile = ${JSON.stringify(join(dir, 'pid'))}; control_socket = ${JSON.stringify(`${join(dir, 'control')} mode=0600`)};
  url_tld = ${file('domains', 'test\nexample\n')};
  dns { nameserver = ["127.0.0.1:1"]; timeout = 1s; retransmits = 1; }
}
logging { type = "console"; level = "warning"; }
lua = ${file('rules.lua', rule)};
regexp { }
classifier "bayes" {
  tokenizer { name = "osb"; }
  backend = "redis"; servers = ${JSON.stringify(redis.path)};
  statfile { symbol = "BAYES_HAM"; spam = false; }
  statfile { symbol = "BAYES_SPAM"; spam = true; }
}
metric { name = "default"; actions { reject = 15; add_header = 6; greylist = 4; } }
worker "normal" { bind_socket = "127.0.0.1:${port}"; count = 1; }
worker "controller" { bind_socket = "127.0.0.1:${controller}"; count = 1; password = "${password}"; secure_ip = []; }
`;
  const share = program('share/rspamd');
  const places = {
    LUALIBDIR: `${share}/lualib`,
    SHAREDIR: share,
    RULESDIR: `${share}/rules`,
    PLUGINSDIR: `${share}/plugins`,
    DBDIR: dir,
    RUNDIR: dir,
  };
  file('rspamd.conf', config);
  const args = [
    ...['-f', '--insecure', '-c', join(dir, 'rspamd.conf')],
    ...Object.entries(places).map(([name, place]) => `--var=${name}=${place}`),
  ];
  let scanner: Scanner | undefined;
  const stop = async () => {
    await scanner?.stop();
    await redis[Symbol.asyncDispose]();
  };
  try {
    scanner = await start({ name: 'rspamd', dir, command: program('bin/rspamd'), args, at: { port } });
    await until('rspamd’s controller', () => accepts({ port: controller }), START);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...scanner, controller, password, stop, [Symbol.asyncDispose]: stop };
}
