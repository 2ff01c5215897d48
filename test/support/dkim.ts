/** Messages, keys and a zone for tests of DKIM. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  type DkimResult,
  DkimSigner,
  type DkimSignerOptions,
  DkimVerifier,
  type DkimVerifierOptions,
} from 'tsmilter/dkim';

/** A header as a filter gets it, and a body. */
export interface TestMail {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
}

export const MAIL: TestMail = {
  headers: [
    ['Received', 'from a.example\n\tby b.example; Sat, 28 Nov 2026 12:00:00 +0000'],
    ['From', 'Alice <alice@example.com>'],
    ['To', 'bob@example.org'],
    ['Subject', 'Lunch \n  today?'],
    ['Date', 'Sat, 28 Nov 2026 12:00:00 +0000'],
    ['Message-ID', '<1@example.com>'],
  ],
  body: 'Hello Bob,\r\n\r\n  at noon? \r\n\r\n',
};

export const NOW = Date.parse('2026-11-28T14:30:00Z');

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed25519 = generateKeyPairSync('ed25519');

export const RSA_KEY: KeyObject = rsa.privateKey;
export const ED25519_KEY: KeyObject = ed25519.privateKey;

export const publicRsa = (key: KeyObject = rsa.publicKey): string =>
  key.export({ format: 'der', type: 'spki' }).toString('base64');
export const publicEd25519 = (): string =>
  ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');

export type Zone = Record<string, string[][] | Error>;

export const ZONE: Zone = {
  'r._domainkey.example.com': [['v=DKIM1; p=', publicRsa()]],
  'e._domainkey.example.com': [[`v=DKIM1; k=ed25519; p=${publicEd25519()}`]],
};

export function dnsError(code: string): Error {
  return Object.assign(new Error(`query ${code}`), { code });
}

export function zoneResolver(zone: Zone): { resolveTxt(name: string): Promise<string[][]>; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async resolveTxt(name) {
      asked.push(name);
      const found = zone[name] ?? dnsError('ENOTFOUND');
      if (found instanceof Error) throw found;
      return found;
    },
  };
}

const bytes = (body: string | Buffer): Buffer =>
  typeof body === 'string' ? Buffer.from(body, 'latin1') : body;

export async function sign(
  mail: TestMail,
  options: Partial<DkimSignerOptions> = {},
): Promise<[string, string][]> {
  const keys = [{ domain: 'example.com', selector: 'r', key: RSA_KEY }];
  const signer = new DkimSigner({ keys, now: () => NOW, ...options });
  for (const [name, value] of mail.headers) signer.header(name, value);
  signer.eoh();
  signer.body(bytes(mail.body));
  return await signer.eom();
}

export async function verify(
  mail: TestMail,
  zone: Zone = ZONE,
  options: Partial<DkimVerifierOptions> = {},
): Promise<DkimResult[]> {
  const verifier = new DkimVerifier({ resolver: zoneResolver(zone), now: () => NOW, ...options });
  for (const [name, value] of mail.headers) verifier.header(name, value);
  verifier.eoh();
  verifier.body(bytes(mail.body));
  return await verifier.eom();
}

/** The message with fields put on top of it. */
export function withFields(mail: TestMail, fields: readonly (readonly [string, string])[]): TestMail {
  return { headers: [...fields, ...mail.headers], body: mail.body };
}

/** A signed message. */
export async function signed(
  mail: TestMail = MAIL,
  options: Partial<DkimSignerOptions> = {},
): Promise<TestMail> {
  return withFields(mail, await sign(mail, options));
}
