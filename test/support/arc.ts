/** Chains made by hand, so that each tag and each step can be wrong. */
import { createHash, sign as cryptoSign, type KeyObject } from 'node:crypto';
import { type ArcResult, ArcVerifier, type ArcVerifierOptions } from 'tsmilter/arc';
import { DkimVerifier, type DkimVerifierOptions } from 'tsmilter/dkim';
import { MAIL, NOW, RSA_KEY, type TestMail, withFields, ZONE, type Zone, zoneResolver } from './dkim.js';

/** Tags in the order in which they are written; undefined leaves one out. */
export type Tags = Readonly<Record<string, string | undefined>>;

/** How a set differs from a valid one. */
export interface SetChanges {
  /** Tags that replace those of a valid field, or come after them. */
  readonly seal?: Tags;
  readonly signature?: Tags;
  /** The whole value of the ARC-Authentication-Results field. */
  readonly results?: string;
  /** Changes the text of a field before it is signed; the text ends with `b=`. */
  readonly sealText?: (text: string) => string;
  readonly signatureText?: (text: string) => string;
  /** Both signatures are made with it. Default: the RSA key. */
  readonly key?: KeyObject;
  readonly names?: Partial<Record<'results' | 'signature' | 'seal', string>>;
  /** Leave fields out. */
  readonly without?: readonly ('results' | 'signature' | 'seal')[];
  /** The seal covers this set alone (RFC 8617 5.1.2). */
  readonly alone?: boolean;
}

type Field = readonly [name: string, value: string];

export const relaxedHeader = ([name, value]: Field): string =>
  `${name.toLowerCase()}:${value
    .replace(/\r?\n/g, '')
    .replace(/[\t ]+/g, ' ')
    .trim()}`;

const relaxedBody = (body: string | Buffer): string => {
  const lines = body
    .toString('latin1')
    .split('\r\n')
    .map((line) => line.replace(/[\t ]+/g, ' ').replace(/ $/, ''));
  while (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `${line}\r\n`).join('');
};

export const bodyHash = (mail: TestMail): string =>
  createHash('sha256').update(relaxedBody(mail.body), 'latin1').digest('base64');

function signText(text: string, key: KeyObject): string {
  const bytes = Buffer.from(text);
  return key.asymmetricKeyType === 'ed25519'
    ? cryptoSign(null, createHash('sha256').update(bytes).digest(), key).toString('base64')
    : cryptoSign('sha256', bytes, key).toString('base64');
}

const tagText = (tags: Tags): string =>
  Object.entries(tags)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join('; ');

const isArc =
  (kind: string) =>
  ([name]: Field) =>
    name.toLowerCase() === kind;

/** Adds a set on top of a message; the fields that the seal covers are those of the sets that are there, from below. */
export function addSet(mail: TestMail, instance: number, changes: SetChanges = {}): TestMail {
  const { key = RSA_KEY, names = {}, sealText = (t) => t, signatureText = (t) => t, without = [] } = changes;
  const a = key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256';
  const s = key.asymmetricKeyType === 'ed25519' ? 'e' : 'r';
  const i = String(instance);
  const results: Field = [
    names.results ?? 'ARC-Authentication-Results',
    changes.results ?? `i=${i}; lists.example.org; spf=pass smtp.mfrom=jqd@d1.example; dmarc=pass`,
  ];
  const signatureTags = {
    i,
    a,
    c: 'relaxed/relaxed',
    d: 'example.com',
    s,
    t: '12345',
    h: 'from:to:subject:date',
    bh: bodyHash(mail),
    ...changes.signature,
  };
  const unsigned = signatureText(`${tagText(signatureTags)}; b=`);
  const left: Field[] = [results, ...mail.headers];
  const covered = (signatureTags.h ?? '')
    .split(':')
    .flatMap((name) => {
      const at = left.findLastIndex(isArc(name.trim().toLowerCase()));
      return at < 0 ? [] : left.splice(at, 1);
    })
    .map((field) => `${relaxedHeader(field)}\r\n`);
  const signatureName = names.signature ?? 'ARC-Message-Signature';
  const b = signText(covered.join('') + relaxedHeader([signatureName, unsigned]), key);
  const signature: Field = [signatureName, unsigned.replace(/b=(?=[\s;]*$)/, `b=${b}`)];
  const sealTags = {
    i,
    a,
    t: '12345',
    cv: instance === 1 ? 'none' : 'pass',
    d: 'example.com',
    s,
    ...changes.seal,
  };
  const sealName = names.seal ?? 'ARC-Seal';
  const unsealed = sealText(`${tagText(sealTags)}; b=`);
  const kinds = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'];
  const old = kinds.map((kind) => mail.headers.filter(isArc(kind)).reverse());
  const before = changes.alone
    ? []
    : Array.from({ length: old[2]?.length ?? 0 }, (_, at) =>
        old.flatMap((fields) => fields.slice(at, at + 1)),
      ).flat();
  const text = [...before, results, signature].map((field) => `${relaxedHeader(field)}\r\n`).join('');
  const sealed = signText(text + relaxedHeader([sealName, unsealed]), key);
  const seal: Field = [sealName, unsealed.replace(/b=(?=[\s;]*$)/, `b=${sealed}`)];
  const all = { seal, signature, results };
  const kept = (['seal', 'signature', 'results'] as const).filter((kind) => !without.includes(kind));
  return withFields(
    mail,
    kept.map((kind) => all[kind]),
  );
}

/** A message with a valid chain of so many sets. */
export function chained(count: number, mail: TestMail = MAIL): TestMail {
  let message = mail;
  for (let instance = 1; instance <= count; instance++) message = addSet(message, instance);
  return message;
}

export async function verifyArc(
  mail: TestMail,
  zone: Zone = ZONE,
  options: Partial<DkimVerifierOptions> & ArcVerifierOptions = {},
): Promise<ArcResult> {
  const { maxKeys, ...others } = options;
  const verifier = new DkimVerifier({ resolver: zoneResolver(zone), now: () => NOW, ...others });
  const arc = new ArcVerifier(verifier, maxKeys === undefined ? {} : { maxKeys });
  for (const [name, value] of mail.headers) verifier.header(name, value);
  verifier.eoh();
  verifier.body(typeof mail.body === 'string' ? Buffer.from(mail.body, 'latin1') : mail.body);
  return await arc.eom();
}
