/** The chains: our filter, and the programs that do the same in a row, each configured for the same policy. */
import { join } from 'node:path';
import { installation } from '../../tools/mta/installation';
import { projectRoot } from '../../tools/project-root';
import { PYTHON } from '../contenders';
import type { Program } from './programs';
import { AUTHSERV_ID, type World } from './world';

/** A network whose mail would be trusted; that of the world does not come from there. */
const INSIDE = '192.168.0.0/16';

type Make = (world: World, directory: string) => Program;

/** Programs that are asked in this order. */
export interface Chain {
  readonly name: string;
  readonly filters: readonly Make[];
  /** Asked at RCPT by Postfix's policy protocol. */
  readonly policy?: Make;
}

export interface ChainRow {
  readonly name: string;
  readonly title: string;
  readonly chains: readonly Chain[];
  /** What each delivered message must contain. */
  readonly marks: readonly RegExp[];
}

const ini = (sections: Record<string, Record<string, string>>) =>
  Object.entries(sections)
    .map(
      ([name, options]) =>
        `[${name}]\n${Object.entries(options)
          .map(([key, value]) => `${key} = ${value}\n`)
          .join('')}`,
    )
    .join('\n');

type Sections = Record<string, Record<string, string>>;

function ours(name: string, sections: (world: World) => Sections, milter: Sections[string] = {}): Make {
  return (world, directory) => ({
    name,
    command: process.execPath,
    args: [join(projectRoot, `.build/examples/${name}.js`), join(directory, 'cfg')],
    files: {
      cfg: ini({
        milter: { socketname: `unix:${directory}/sock`, umask: '0111', ...milter },
        ...sections(world),
      }),
    },
  });
}

const authentication = ({ dns }: World): Sections => ({
  clients: { internal_connect: INSIDE },
  verify: { nameservers: dns },
  dmarc: { policy: 'enforce' },
});

const authmilter = ours('authmilter', authentication);
const authmilterWorkers = ours('authmilter', authentication, { workers: '2' });

const guard: Make = (world, directory) => {
  const program = ours('guard', ({ dns }) => ({
    clients: { internal_connect: INSIDE, internal_domains: 'dest.test' },
    dns: { nameservers: dns },
    spf: { mode: 'reject' },
    dmarc: { mode: 'reject' },
    greylist: { mode: 'defer', delay: '1' },
  }))(world, directory);
  const { cfg = '' } = program.files ?? {};
  return {
    ...program,
    files: { cfg: cfg.replace('[milter]\n', `[milter]\nstate = sqlite:${directory}/state\n`) },
  };
};

const spfFilter: Make = (_, directory) => ({
  name: 'pyspf',
  command: PYTHON,
  args: [join(projectRoot, 'bench/chains/spf_filter.py'), `unix:${directory}/sock`, AUTHSERV_ID],
});

const sbin = (program: string) => join(installation().root, 'usr/sbin', program);

const lines = (options: Record<string, string>) =>
  Object.entries(options)
    .map(([key, value]) => `${key} ${value}\n`)
    .join('');

/** Its resolver gets no answer from the world's DNS server, so it reads the key from a file, which costs it less. */
const openDkim: Make = ({ zone }, directory) => ({
  name: 'OpenDKIM',
  command: sbin('opendkim'),
  args: ['-f', '-x', join(directory, 'conf')],
  files: {
    inside: `${INSIDE}\n`,
    zone: Object.entries(zone)
      .flatMap(([name, { TXT = [] }]) => TXT.map((text) => `${name} ${text}\n`))
      .join(''),
    conf: lines({
      Mode: 'v',
      Socket: `local:${directory}/sock`,
      UMask: '0111',
      TestDNSData: `file:${directory}/zone`,
      AuthservID: AUTHSERV_ID,
      InternalHosts: `file:${directory}/inside`,
      Syslog: 'no',
    }),
  },
});

const openDmarc: Make = (_, directory) => ({
  name: 'OpenDMARC',
  command: sbin('opendmarc'),
  args: ['-f', '-c', join(directory, 'conf')],
  files: {
    inside: `${INSIDE}\n`,
    conf: lines({
      Socket: `local:${directory}/sock`,
      UMask: '0111',
      AuthservID: AUTHSERV_ID,
      TrustedAuthservIDs: AUTHSERV_ID,
      IgnoreHosts: `${directory}/inside`,
      PublicSuffixList: join(installation().root, 'usr/share/publicsuffix/effective_tld_names.dat'),
      RejectFailures: 'true',
      Syslog: 'false',
    }),
  },
});

const postgrey: Make = (_, directory) => ({
  name: 'postgrey',
  command: '/usr/bin/perl',
  args: [
    ...[
      '-T',
      '-w',
      sbin('postgrey'),
      `--unix=${directory}/sock`,
      `--dbdir=${directory}`,
      '--user=root',
      '--group=root',
    ],
    ...[`--whitelist-clients=${directory}/none`, `--whitelist-recipients=${directory}/none`, '--delay=1'],
  ],
  files: { none: '' },
});

export const rows: readonly ChainRow[] = [
  {
    name: 'authentication',
    title: 'SPF, DKIM and DMARC of messages of 5 kB with one signature, RSA-2048',
    chains: [
      { name: 'authmilter', filters: [authmilter] },
      { name: 'authmilter, 2 workers', filters: [authmilterWorkers] },
      { name: 'pyspf, OpenDKIM, OpenDMARC', filters: [spfFilter, openDkim, openDmarc] },
    ],
    marks: [/dkim=pass/, /dmarc=pass/],
  },
  {
    name: 'policy',
    title: 'The same, and greylisting',
    chains: [
      { name: 'guard', filters: [guard] },
      {
        name: 'postgrey, pyspf, OpenDKIM, OpenDMARC',
        filters: [spfFilter, openDkim, openDmarc],
        policy: postgrey,
      },
    ],
    marks: [],
  },
];
