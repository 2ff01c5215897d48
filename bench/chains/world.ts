/** The world that the chains of filters live in: a domain with its DNS records and keys, its messages, and who sends them. */
import { generateKeyPairSync } from 'node:crypto';
import { DkimSigner, formatKeyRecord } from 'tsmilter/dkim';
import { DnsServer, type Zone } from '../../tools/dns-server';

/** Whom the messages come from, and what Postfix is told about it by XCLIENT. */
export const CLIENT = { address: '192.0.2.10', name: 'mail.example.com' } as const;
export const DOMAIN = 'example.com';
export const SENDER = `ann@${DOMAIN}`;
/** The id of the receiving host in Authentication-Results. */
export const AUTHSERV_ID = 'postfix.test';
/** Bytes of the messages' bodies. */
const BODY = 5_000;
const LINE = 'Some words of a letter, which is neither long nor interesting, but has lines.\r\n';

/** The strings of a TXT record, which have 255 octets at most (RFC 1035 3.3). */
const STRINGS = /.{1,255}/g;

/** Old programs know no DNS port but 53; nothing else uses this address. */
const DNS = { address: '127.77.0.53', port: 53 } as const;

export class World implements AsyncDisposable {
  /** The address of its DNS server, port 53. */
  readonly dns = DNS.address;
  /** What it answers. */
  readonly zone: Zone;

  /** Starts its DNS server; needs root, for the port. */
  static async create(): Promise<World> {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
      publicKeyEncoding: { format: 'pem', type: 'spki' },
    });
    const server = await DnsServer.start(
      {
        [DOMAIN]: { TXT: [`v=spf1 ip4:${CLIENT.address} -all`] },
        [`s._domainkey.${DOMAIN}`]: { TXT: [formatKeyRecord(privateKey).match(STRINGS) ?? []] },
        [`_dmarc.${DOMAIN}`]: { TXT: ['v=DMARC1; p=reject'] },
        [CLIENT.name]: { A: [CLIENT.address] },
        '10.2.0.192.in-addr.arpa': { PTR: [CLIENT.name] },
      },
      DNS,
    );
    return new World(server, privateKey);
  }

  private constructor(
    private readonly server: DnsServer,
    private readonly key: string,
  ) {
    this.zone = server.zone;
  }

  /** A message that its author's domain has signed; each number makes another one. */
  async message(nth: number): Promise<Buffer> {
    const signer = new DkimSigner({ keys: [{ domain: DOMAIN, selector: 's', key: this.key }] });
    const fields = [
      ['From', `Ann Author <${SENDER}>`],
      ['To', 'Bob Reader <bob@dest.test>'],
      ['Subject', `Report ${nth}, with all its figures`],
      ['Date', new Date().toUTCString().replace('GMT', '+0000')],
      ['Message-ID', `<${nth}@${CLIENT.name}>`],
    ] as const;
    for (const [name, value] of fields) signer.header(name, value);
    signer.eoh();
    const body = Buffer.from(LINE.repeat(Math.ceil(BODY / LINE.length)));
    signer.body(body);
    const signed = [...(await signer.eom()), ...fields];
    const header = signed.map(([name, value]) => `${name}: ${value.replaceAll('\n', '\r\n')}\r\n`).join('');
    return Buffer.concat([Buffer.from(`${header}\r\n`), body]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}
