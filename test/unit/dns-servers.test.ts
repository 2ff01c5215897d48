/** Which DNS servers are asked, in which order, and what follows from their failures; resolv.conf. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { DnsError, DnsSession, type DnsSessionOptions } from 'tsmilter/dns';
import { checkSpf } from 'tsmilter/spf';
import { parseResolvConf, ResolvConf } from '#lib/dns/resolv-conf.js';
import { parseServer, Server } from '#lib/dns/servers.js';
import { freePort } from '../../tools/free-ports';
import { projectRoot } from '../../tools/project-root';
import { errorWith } from '../support/expect';
import { FakeTimeouts, turnsUntil } from '../support/fake-timeouts';
import { type Answering, HostileDns, reply, TYPE, wireName } from '../support/hostile-dns';

const run = promisify(execFile);
const failsWith = (code: string) => errorWith({ code }, DnsError);

const answers: Answering = ({ bytes }) =>
  reply(bytes, { answers: [{ type: TYPE.A, data: Buffer.from([192, 0, 2, 1]) }] });
const rcode =
  (number: number): Answering =>
  ({ bytes }) =>
    reply(bytes, { rcode: number });
const silent: Answering = () => undefined;

const servers: HostileDns[] = [];
async function serve(answer: Answering): Promise<HostileDns> {
  const server = await HostileDns.start(answer);
  servers.push(server);
  return server;
}
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

const session = (asked: readonly HostileDns[], options: DnsSessionOptions = {}) =>
  new DnsSession({ servers: asked.map(({ address }) => address), timeout: 20_000, ...options });
const ask = (asked: readonly HostileDns[], options: DnsSessionOptions = {}) =>
  session(asked, options).resolve4('www.example.com');

/** Runs a program that uses the package in a process of its own, which must end by itself. */
async function runProgram(code: string, ...shell: string[]): Promise<unknown> {
  const node = [process.execPath, '-e', code];
  const [program, ...args] = shell.length === 0 ? node : [...shell, ...node];
  const { stdout } = await run(program as string, args, { cwd: projectRoot });
  return JSON.parse(stdout);
}

describe('a server that cannot be reached', () => {
  it('fails its lookups, and does not end the process', async () => {
    const program = `
      const { DnsSession } = require('tsmilter/dns');
      const { checkSpf } = require('tsmilter/spf');
      (async () => {
        const outcomes = {};
        for (const server of ['255.255.255.255', 'fe80::1', '[fe80::1%nosuch]:53', 'fe80::1%lo', 'ff02::1%9999']) {
          const options = { servers: [server], timeout: 200, tries: 2 };
          const failure = (promise) => promise.then(() => 'an answer', (error) => error.code);
          const resolver = new DnsSession(options);
          const query = { ip: '192.0.2.1', helo: 'mail.example.com', sender: 'ann@example.com' };
          outcomes[server] = [
            await failure(new DnsSession(options).resolve4('example.com')),
            (await checkSpf(query, { resolver })).result,
          ];
        }
        console.log(JSON.stringify(outcomes));
      })();`;
    const outcomes = (await runProgram(program)) as Record<string, string[]>;
    expect(Object.keys(outcomes)).toHaveLength(5);
    for (const [code, result] of Object.values(outcomes)) {
      expect(code).toMatch(/^E(?:SERVFAIL|TIMEOUT)$/); // by network, an address is unreachable or just silent
      expect(result).toBe('temperror');
    }
    expect(outcomes['255.255.255.255']?.[0]).toBe('ESERVFAIL');
  });

  it('is followed by the next', async () => {
    const good = await serve(answers);
    const addresses = ['255.255.255.255', 'fe80::1', `127.0.0.1:${await freePort()}`, good.address];
    const dns = new DnsSession({ servers: addresses, timeout: 20_000, tries: 1 });
    expect(await dns.resolve4('www.example.com')).toStrictEqual(['192.0.2.1']);
  });

  it('may be any, if there are no descriptors left', async () => {
    const { port } = await serve(silent);
    const program = `
      const { DnsSession } = require('tsmilter/dns');
      const dns = new DnsSession({ servers: ['127.0.0.1:${port}'], timeout: 1000, tries: 1, maxLookups: 1000 });
      const lookups = Array.from({ length: 200 }, (_, at) => dns.resolve4('host' + at + '.example'));
      Promise.allSettled(lookups).then((all) => {
        console.log(JSON.stringify([...new Set(all.map(({ reason }) => reason.code))].sort()));
      });`;
    const limited = ['bash', '-c', 'ulimit -n 64; exec "$@"', 'bash'];
    expect(await runProgram(program, ...limited)).toStrictEqual(['ESERVFAIL', 'ETIMEOUT']);
  });
});

describe('a server that fails is asked last', () => {
  it('a silent one costs its time once, not for each include, nor in other sessions', async () => {
    const [first, second] = [await serve(silent), await serve(silent)];
    const record = (text: string) => ({
      type: TYPE.TXT,
      data: Buffer.from(`${String.fromCharCode(text.length)}${text}`, 'latin1'),
    });
    const includes = Array.from({ length: 9 }, (_, at) => `include:i${at}.example.com`).join(' ');
    second.answer = ({ bytes }) =>
      reply(bytes, {
        answers: [
          record(bytes[13] === 'i'.charCodeAt(0) ? 'v=spf1 -all' : `v=spf1 ${includes} ip4:192.0.2.1`),
        ],
      });
    const query = { ip: '192.0.2.1', helo: '', sender: 'ann@example.com' };
    using time = new FakeTimeouts({ withClock: true });
    const check = () => checkSpf(query, { resolver: session([first, second], { timeout: 2000 }) });
    const pending = check();
    await turnsUntil(() => first.queries.length === 1);
    time.advance(2000);
    for (const { result } of [await pending, await check(), await check()]) expect(result).toBe('pass');
    expect(second.queries).toHaveLength(30);
    expect(first.queries).toHaveLength(1);
  });

  const cut: Answering = ({ bytes }) => reply(bytes).subarray(0, 14);
  for (const [what, failing] of [
    ['SERVFAIL', rcode(2)],
    ['REFUSED', rcode(5)],
    ['NOTAUTH', rcode(9)],
    ['a malformed answer', cut],
  ] as const) {
    it(`as it is after ${what}`, async () => {
      const [first, second] = [await serve(failing), await serve(answers)];
      for (let lookup = 0; lookup < 3; lookup++) await ask([first, second]);
      expect([first.queries.length, second.queries.length]).toStrictEqual([1, 3]);
    });
  }

  it('until it answers one of the questions that are sent to it from time to time, which nobody waits for', async () => {
    using time = new FakeTimeouts({ withClock: true });
    const [first, second] = [await serve(silent), await serve(answers)];
    const lookup = ask([first, second], { timeout: 1000 });
    await turnsUntil(() => first.queries.length === 1);
    time.advance(1000);
    await lookup;
    await ask([first, second]);
    expect(first.queries).toHaveLength(1);
    time.advance(5000);
    await ask([first, second]); // the first is still silent
    await turnsUntil(() => first.queries.length === 2);
    first.answer = answers;
    await ask([first, second]);
    expect(first.queries).toHaveLength(2);
    time.advance(5000);
    await ask([first, second]);
    await turnsUntil(() => first.queries.length === 3);
    // Once its answer has arrived, it is the first again.
    while (first.queries.length <= 5) await ask([first, second]);
  });

  it('and of several, the one that has failed least is asked first', async () => {
    const [first, second] = [await serve(rcode(2)), await serve(rcode(2))];
    await expect(ask([first], { tries: 1 })).rejects.toThrow(failsWith('ESERVFAIL'));
    second.answer = answers;
    await ask([first, second]);
    expect([first.queries.length, second.queries.length]).toStrictEqual([1, 1]);
  });
});

describe('EDNS', () => {
  it('brings a long key by one datagram', async () => {
    const text = 'x'.repeat(250);
    const strings = Buffer.concat(Array.from({ length: 4 }, () => Buffer.from(`\xfa${text}`, 'latin1')));
    const server = await serve(({ bytes, edns }) =>
      edns ? reply(bytes, { answers: [{ type: TYPE.TXT, data: strings }] }) : reply(bytes, { flags: 0x8380 }),
    );
    expect(await session([server]).texts('k._domainkey.example.com')).toStrictEqual([text.repeat(4)]);
    expect(server.queries).toStrictEqual(['udp edns']);
  });

  const headerOnly: Answering = ({ bytes }) => {
    const header = Buffer.alloc(12);
    bytes.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8181, 2);
    return header;
  };
  const badVersion: Answering = ({ bytes }) =>
    reply(bytes, {
      additional: [{ type: TYPE.OPT, class: 512, ttl: 0x01000000, name: wireName(), data: Buffer.alloc(0) }],
    });
  for (const [what, refusal] of [
    ['FORMERR', rcode(1)],
    ['FORMERR without the question', headerOnly],
    ['NOTIMP', rcode(4)],
    ['BADVERS', badVersion],
  ] as const) {
    it(`is left out at once after ${what}, and in later questions`, async () => {
      const server = await serve((query) => (query.edns ? refusal(query) : answers(query)));
      for (let lookup = 0; lookup < 3; lookup++) expect(await ask([server])).toStrictEqual(['192.0.2.1']);
      expect(server.queries).toStrictEqual(['udp edns', 'udp', 'udp', 'udp']);
    });
  }

  it('is left out if a server drops such questions, and in later questions', async () => {
    const server = await serve((query) => (query.edns ? undefined : answers(query)));
    for (let lookup = 0; lookup < 3; lookup++) {
      expect(await ask([server], { timeout: 300 })).toStrictEqual(['192.0.2.1']);
    }
    expect(server.queries).toStrictEqual(['udp edns', 'udp', 'udp', 'udp']);
  });

  it('is tried again after some minutes', () => {
    using time = new FakeTimeouts({ withClock: true });
    const server = new Server({ address: '127.0.0.1', port: 53 });
    server.failsWithEdns();
    time.advance(299_999);
    expect(server.edns).toBe(false);
    time.advance(1);
    expect(server.edns).toBe(true);
  });

  it('a server that refuses every question fails', async () => {
    const server = await serve(rcode(1));
    await expect(ask([server], { tries: 1 })).rejects.toThrow(failsWith('EBADRESP'));
    expect(server.queries).toStrictEqual(['udp edns', 'udp']);
  });
});

describe('answers that are refused', () => {
  const malformed: Answering = ({ bytes }) =>
    reply(bytes, { answers: [{ type: TYPE.A, data: Buffer.from([192, 0]), length: 4 }] });

  it('a malformed one is followed by the next server at once', async () => {
    const [bad, good] = [await serve(malformed), await serve(answers)];
    expect(await ask([bad, good])).toStrictEqual(['192.0.2.1']);
    await expect(ask([bad], { tries: 1 })).rejects.toThrow(failsWith('EBADRESP'));
  });

  it('a truncated one over TCP too', async () => {
    const [bad, good] = [await serve(({ bytes }) => reply(bytes, { flags: 0x8380 })), await serve(answers)];
    expect(await ask([bad, good])).toStrictEqual(['192.0.2.1']);
    expect(bad.queries).toStrictEqual(['udp edns', 'tcp edns']);
  });

  it('addresses of class CH are none', async () => {
    const chaos: Answering = ({ bytes }) =>
      reply(bytes, { answers: [{ type: TYPE.A, class: 3, data: Buffer.alloc(4) }] });
    await expect(ask([await serve(chaos)])).rejects.toThrow(failsWith('ENODATA'));
  });

  it('TCP may divide an answer anywhere', async () => {
    const octets: Answering = (query) => {
      const whole = answers(query) as Buffer;
      return [String.fromCharCode(0), String.fromCharCode(whole.length) + whole.toString('latin1')];
    };
    const server = await serve((query) =>
      query.tcp ? octets(query) : reply(query.bytes, { flags: 0x8380 }),
    );
    expect(await ask([server])).toStrictEqual(['192.0.2.1']);
  });
});

describe('aliases to names of any octets', () => {
  it('are followed as they are', async () => {
    const target = wireName('a.b', 'x y\x00', 'test');
    const asked: Buffer[] = [];
    const server = await serve((query) => {
      asked.push(query.bytes);
      const isFirst = query.bytes.includes('www');
      return isFirst ? reply(query.bytes, { answers: [{ type: TYPE.CNAME, data: target }] }) : answers(query);
    });
    expect(await ask([server])).toStrictEqual(['192.0.2.1']);
    expect(asked[1]?.subarray(12, 12 + target.length)).toStrictEqual(target);
    expect(await session([server]).resolveCname('www.example.com')).toStrictEqual(['a\\.b.x y\\000.test']);
  });
});

describe('the address of a server', () => {
  for (const [text, expected] of [
    ['192.0.2.53', '192.0.2.53 53'],
    ['192.0.2.53:5353', '192.0.2.53 5353'],
    ['2001:db8::53', '2001:db8::53 53'],
    ['[2001:db8::53]', '2001:db8::53 53'],
    ['[2001:db8::53]:5353', '2001:db8::53 5353'],
    ['fe80::1%eth0', 'fe80::1%eth0 53'],
    ['[fe80::1%eth0]:5353', 'fe80::1%eth0 5353'],
    ['host', undefined],
    ['192.0.2.53:0', undefined],
    ['192.0.2.53:65536', undefined],
    ['192.0.2.53:', undefined],
    ['[192.0.2.53]:53', undefined],
    ['[]', undefined],
    ['', undefined],
  ] as const) {
    it(text || 'nothing', () => {
      const server = parseServer(text);
      expect(server && `${server.address} ${server.port}`).toBe(expected);
    });
  }
});

describe('resolv.conf', () => {
  const local = { address: '127.0.0.1', port: 53 };
  const defaults = { servers: [local], timeout: 2000, tries: 2, rotate: false, tcp: false };
  for (const [text, expected, environment] of [
    ['', {}],
    ['# nameserver 192.0.2.1\n;nameserver 192.0.2.2\n', {}],
    [
      'nameserver 192.0.2.1\nnameserver\t192.0.2.2 # second\r\nnameserver fe80::1%eth0\nnameserver [::1]:5353',
      {
        servers: [
          { address: '192.0.2.1', port: 53 },
          { address: '192.0.2.2', port: 53 },
          { address: 'fe80::1%eth0', port: 53 },
          { address: '::1', port: 5353 },
        ],
      },
    ],
    ['nameserver host.example\nnameserver 192.0.2.300\nnameserver', {}],
    ['options timeout:1 attempts:3 rotate edns0 ndots:5', { timeout: 1000, tries: 3, rotate: true }],
    ['options timeout:1\noptions attempts:4 use-vc\n', { timeout: 1000, tries: 4, tcp: true }],
    ['options timeout:99 attempts:99', { timeout: 30_000, tries: 5 }],
    ['options timeout:0 attempts:-1 rotates', {}],
    ['options timeout: attempts:x __proto__:1', {}],
    ['options timeout:5 attempts:2', { timeout: 1000, tries: 2, rotate: true }, 'timeout:1 rotate'],
    ['search example.com\ndomain example.com\nsortlist 192.0.2.0\n\0\n', {}],
  ] as const) {
    it(JSON.stringify(text).slice(0, 70), () => {
      expect(parseResolvConf(text, environment)).toStrictEqual({ ...defaults, ...expected });
    });
  }

  describe('in a file', () => {
    let directory: string;
    const inFile = async (text: string) => {
      directory = await mkdtemp(join(tmpdir(), 'tsmilter-resolv-'));
      const path = join(directory, 'resolv.conf');
      await writeFile(path, text);
      return path;
    };
    afterEach(() => rm(directory, { recursive: true }));

    it('is read again when it changes, also during a session', async () => {
      const [one, two] = [await serve(answers), await serve(answers)];
      const resolvConf = await inFile('');
      const dns = new DnsSession({ resolvConf, timeout: 20_000 });
      await writeFile(resolvConf, `nameserver ${one.address}\n`);
      await dns.resolve4('one.example');
      await writeFile(resolvConf, `nameserver ${two.address}\n# longer`);
      await dns.resolve4('two.example');
      await new DnsSession({ resolvConf, timeout: 20_000 }).resolve4('three.example');
      expect([one.queries.length, two.queries.length]).toStrictEqual([1, 2]);
    });

    it('may be missing, and come back', async () => {
      const path = await inFile('nameserver 192.0.2.1');
      const file = new ResolvConf(path);
      expect(file.current.servers).toStrictEqual([{ address: '192.0.2.1', port: 53 }]);
      expect(file.current).toBe(file.current);
      await rm(path);
      expect(file.current.servers).toStrictEqual([local]);
      await writeFile(path, 'nameserver 192.0.2.2');
      expect(file.current.servers).toStrictEqual([{ address: '192.0.2.2', port: 53 }]);
      for (const unreadable of [directory, join(path, 'x'), '/x'.repeat(10_000)]) {
        expect(new ResolvConf(unreadable).current.servers).toStrictEqual([local]);
      }
    });

    it('says how long and how often servers are asked, unless options do', async () => {
      const server = await serve(silent);
      const resolvConf = await inFile(`nameserver ${server.address}\noptions timeout:1 attempts:1`);
      const begin = performance.now();
      await expect(new DnsSession({ resolvConf }).resolve4('a.example')).rejects.toThrow(/within 1000 ms/);
      expect(performance.now() - begin).toBeGreaterThan(990);
      expect(server.queries).toHaveLength(1);
      const dns = new DnsSession({ resolvConf, timeout: 50, tries: 3 });
      await expect(dns.resolve4('b.example')).rejects.toThrow(/within 50 ms/);
      expect(server.queries).toHaveLength(4);
    });

    it('lets the servers take turns: rotate', async () => {
      const [one, two] = [await serve(answers), await serve(answers)];
      const lines = [one, two].map(({ address }) => `nameserver ${address}\n`).join('');
      const resolvConf = await inFile(`${lines}options rotate`);
      const dns = new DnsSession({ resolvConf, timeout: 20_000 });
      for (const name of ['a.example', 'b.example', 'c.example', 'd.example']) await dns.resolve4(name);
      expect([one.queries.length, two.queries.length]).toStrictEqual([2, 2]);
    });

    it('lets questions be sent over TCP: use-vc', async () => {
      const server = await serve(answers);
      const resolvConf = await inFile(`nameserver ${server.address}\noptions use-vc`);
      await new DnsSession({ resolvConf, timeout: 20_000 }).resolve4('a.example');
      expect(server.queries).toStrictEqual(['tcp edns']);
    });
  });

  it('is /etc/resolv.conf by default', () => {
    expect(new DnsSession()).toBeTruthy();
    expect(() => new DnsSession({ resolvConf: '' })).toThrow(errorWith({ code: 'ERR_MILTER_BAD_ARGUMENT' }));
  });
});
