/** The RSA key in a SubjectPublicKeyInfo, whose ASN.1 is simple enough to be read here (RFC 3279 2.3.1, X.690). */

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
/** AlgorithmIdentifier: rsaEncryption, with NULL for its parameters. */
const RSA_ENCRYPTION = Buffer.from('300d06092a864886f70d0101010500', 'hex');
/** The octet that begins a BIT STRING: bits of its last octet that are not used. */
const NO_UNUSED_BITS = 0;

/**
 * The RSAPublicKey (RFC 8017 A.1.1) in a SubjectPublicKeyInfo.
 *
 * @returns undefined for anything that is not the one DER form that tools write; it may be a key all the same
 */
export function bareRsaKey(spki: Buffer): Buffer | undefined {
  const info = contentOf(spki, SEQUENCE);
  if (!info?.subarray(0, RSA_ENCRYPTION.length).equals(RSA_ENCRYPTION)) return undefined;
  const bits = contentOf(info.subarray(RSA_ENCRYPTION.length), BIT_STRING);
  if (bits?.[0] !== NO_UNUSED_BITS) return undefined;
  const key = bits.subarray(1);
  return contentOf(key, SEQUENCE) && key;
}

/** The content of an element that fills the bytes to their end; undefined if there is another one, or anything behind it. */
function contentOf(bytes: Buffer, tag: number): Buffer | undefined {
  const [found, first = 0] = bytes;
  if (found !== tag) return undefined;
  // Up to 127, the length is in one octet; above, that octet tells how many follow. Two are enough for any key.
  const more = first <= 0x80 ? 0 : first - 0x80;
  if (more > 2 || bytes.length < 2 + more) return undefined;
  const length = more === 0 ? first : bytes.readUIntBE(2, more);
  return bytes.length === 2 + more + length ? bytes.subarray(2 + more) : undefined;
}
