/** Faults of what a filter asks: Redis, SQLite, DNS. */
import * as fs from 'node:fs';
import { expect } from '@jest/globals';
import Database from 'better-sqlite3';
import { createClient } from 'redis';
import type { Zone } from '../../../tools/dns-server';
import type { Fault, FaultLab } from './lab';

/** The check has failed, and the filter leaves that to the exception policy. */
const storeFailed = async (lab: FaultLab) =>
  expect(await lab.filter.report()).toMatchObject({ step: 'envrcpt', code: 'ERR_MILTER_STORE' });

async function limitRedis(lab: FaultLab, bytes: string): Promise<void> {
  const client = await createClient({ socket: { path: lab.redis.path, tls: false } }).connect();
  await client.configSet('maxmemory', bytes);
  client.destroy();
}

const withRedis = (lab: FaultLab) => ({ settings: { redis: lab.redis.path } });

const redisFaults: readonly Fault[] = [
  {
    name: 'Redis is gone, and comes back empty',
    filter: withRedis,
    harm: (lab) => lab.redis.stop(),
    outcome: 'deferred',
    mend: async (lab) => {
      await storeFailed(lab);
      await lab.redis.start();
    },
  },
  {
    name: 'Redis hangs',
    filter: withRedis,
    harm: (lab) => lab.redis.freeze(),
    outcome: 'deferred',
    mend: async (lab) => {
      await storeFailed(lab);
      lab.redis.thaw();
    },
  },
  {
    name: 'Redis is full',
    filter: withRedis,
    harm: (lab) => limitRedis(lab, '1'),
    outcome: 'deferred',
    mend: async (lab) => {
      await storeFailed(lab);
      await limitRedis(lab, '0');
    },
  },
];

/** Root, but without its right to write where nobody may. */
const OBEDIENT_ROOT = {
  execPath: 'setpriv',
  execArgv: ['--bounding-set=-dac_override', '--inh-caps=-dac_override', process.execPath],
};

/** With the files that SQLite keeps beside it, which get the same permissions. */
function chmodDatabase(lab: FaultLab, mode: number): void {
  const files = fs.readdirSync(lab.directory).filter((name) => name.startsWith('grey.db'));
  for (const name of files) fs.chmodSync(lab.file(name), mode);
}

let otherProcess: Database.Database;

const sqliteFaults: readonly Fault[] = [
  {
    name: 'another process keeps the SQLite database locked',
    filter: (lab) => ({ settings: { sqlite: lab.file('grey.db') } }),
    harm: (lab) => {
      otherProcess = new Database(lab.file('grey.db'));
      otherProcess.exec('BEGIN EXCLUSIVE');
    },
    outcome: 'deferred',
    mend: async (lab) => {
      await storeFailed(lab);
      otherProcess.close();
    },
  },
  {
    name: 'the SQLite database is read-only',
    filter: (lab) => ({ settings: { sqlite: lab.file('grey.db') }, fork: OBEDIENT_ROOT }),
    harm: async (lab) => {
      await lab.endFilter();
      chmodDatabase(lab, 0o444);
      await lab.startFilter({ settings: { sqlite: lab.file('grey.db') }, fork: OBEDIENT_ROOT });
    },
    outcome: 'deferred',
    mend: async (lab) => {
      await storeFailed(lab);
      await lab.endFilter();
      chmodDatabase(lab, 0o600);
    },
  },
];

const ZONE: Zone = {
  'src.test': { TXT: ['v=spf1 a:mail.src.test -all'] },
  'mail.src.test': { A: ['127.0.0.1'] },
};

function withDns(lab: FaultLab) {
  mendDns(lab);
  return { settings: { dns: lab.dns.address } };
}

function mendDns(lab: FaultLab): void {
  lab.dns.zone = ZONE;
  lab.dns.delay = 0;
}

const silent = (lab: FaultLab, name: string, fault: 'silence' | 'SERVFAIL') => {
  lab.dns.zone = { ...ZONE, [name]: { ...ZONE[name], fault } };
};

const resolverFaults: readonly Fault[] = [
  {
    name: 'the resolver is silent',
    filter: withDns,
    harm: (lab) => silent(lab, 'src.test', 'silence'),
    outcome: 'deferred',
    mend: mendDns,
  },
  {
    name: 'the resolver falls silent in the middle of a check',
    filter: withDns,
    harm: (lab) => silent(lab, 'mail.src.test', 'silence'),
    outcome: 'deferred',
    mend: mendDns,
  },
  {
    name: 'the resolver fails',
    filter: withDns,
    harm: (lab) => silent(lab, 'src.test', 'SERVFAIL'),
    outcome: 'deferred',
    mend: mendDns,
  },
  {
    name: 'the resolver lies: it adds an address that nobody asked for',
    filter: withDns,
    harm: (lab) => {
      const lie = [{ name: 'mail.src.test', type: 'A', value: '127.0.0.1' }] as const;
      lab.dns.zone = {
        'src.test': { ...ZONE['src.test'], poison: [...lie] },
        'mail.src.test': { A: ['192.0.2.1'] },
      };
    },
    outcome: 'refused',
    mend: mendDns,
  },
  {
    name: 'the resolver is slow, but in time',
    filter: withDns,
    harm: (lab) => {
      lab.dns.delay = 150;
    },
    outcome: 'delivered',
    mend: mendDns,
  },
  {
    name: 'the resolver is slower than the check may take',
    filter: withDns,
    harm: (lab) => {
      lab.dns.delay = 1_500;
    },
    outcome: 'deferred',
    mend: mendDns,
  },
];

export const storeFaults: readonly Fault[] = [...redisFaults, ...sqliteFaults, ...resolverFaults];
