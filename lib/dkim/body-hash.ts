/** SHA-256 of canonical bodies: one pass over the body serves all signatures of a message. */
import { createHash, type Hash } from 'node:crypto';
import { type BodyCanonicalizer, bodyCanonicalizer } from './canonical-body.js';
import type { Canonicalization } from './canonical-header.js';

/** The hash of a body, or of its first octets. */
export interface BodyHash {
  readonly digest: Buffer;
  /** Canonical octets that the body has, hashed or not. */
  readonly bodyLength: number;
}

/** What a signature wants hashed: all of the body, or as many octets of it as its `l=` says. */
interface Request {
  readonly limit: number;
  readonly hash: Hash;
}

/** One canonicalization of the body, and the hashes that are made of it. */
class HashedBody {
  readonly #body: BodyCanonicalizer;
  readonly #gathered: GatheredWrites;
  readonly #requests: Request[] = [];
  readonly #digests = new Map<number, Buffer>();
  #length = 0;

  constructor(how: Canonicalization) {
    this.#gathered = new GatheredWrites((bytes) => this.#take(bytes));
    this.#body = bodyCanonicalizer(how, (bytes, start, end) => this.#gathered.write(bytes, start, end));
  }

  request(limit: number): void {
    if (!this.has(limit)) this.#requests.push({ limit, hash: createHash('sha256') });
  }

  has(limit: number): boolean {
    return this.#requests.some((request) => request.limit === limit);
  }

  get size(): number {
    return this.#requests.length;
  }

  update(chunk: Uint8Array): void {
    this.#body.update(chunk);
  }

  end(): void {
    this.#body.end();
    this.#gathered.flush();
    for (const { limit, hash } of this.#requests) this.#digests.set(limit, hash.digest());
  }

  result(limit: number): BodyHash | undefined {
    const digest = this.#digests.get(limit);
    return digest && { digest, bodyLength: this.#length };
  }

  #take(bytes: Uint8Array): void {
    for (const { limit, hash } of this.#requests) {
      const left = limit - this.#length;
      if (left > 0) hash.update(left < bytes.length ? bytes.subarray(0, left) : bytes);
    }
    this.#length += bytes.length;
  }
}

/** The body hashes of a message. */
export class BodyHashes {
  readonly #bodies = new Map<Canonicalization, HashedBody>();
  readonly #max: number;

  /** @param max distinct hashes that are made at most: each costs a pass of SHA-256 over the body */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Asks for a hash, before the body comes.
   *
   * @param limit octets to be hashed, Infinity for all
   * @returns false if the maximum number of other hashes has been requested already
   */
  request(how: Canonicalization, limit: number): boolean {
    let body = this.#bodies.get(how);
    if (!body?.has(limit) && this.#count >= this.#max) return false;
    if (!body) {
      body = new HashedBody(how);
      this.#bodies.set(how, body);
    }
    body.request(limit);
    return true;
  }

  update(chunk: Uint8Array): void {
    for (const body of this.#bodies.values()) body.update(chunk);
  }

  end(): void {
    for (const body of this.#bodies.values()) body.end();
  }

  /** The hash that was asked for, once the body has ended. */
  result(how: Canonicalization, limit: number): BodyHash | undefined {
    return this.#bodies.get(how)?.result(limit);
  }

  get #count(): number {
    let count = 0;
    for (const body of this.#bodies.values()) count += body.size;
    return count;
  }
}

/** Puts short writes together, since a call of a hash costs as much as hashing some hundred bytes. */
class GatheredWrites {
  static readonly #CAPACITY = 16 * 1024;
  static readonly #SHORT = 1024;
  /** Up to here a loop copies faster than TypedArray.set with the subarray that it needs. */
  static readonly #FEW = 128;

  readonly #take: (bytes: Uint8Array) => void;
  readonly #buffer = new Uint8Array(GatheredWrites.#CAPACITY);
  #used = 0;

  constructor(take: (bytes: Uint8Array) => void) {
    this.#take = take;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length > GatheredWrites.#SHORT) {
      this.flush();
      this.#take(bytes.subarray(start, end));
      return;
    }
    if (this.#used + length > GatheredWrites.#CAPACITY) this.flush();
    if (length > GatheredWrites.#FEW) this.#buffer.set(bytes.subarray(start, end), this.#used);
    else copy(bytes, start, end, this.#buffer, this.#used);
    this.#used += length;
  }

  flush(): void {
    if (this.#used > 0) this.#take(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}

function copy(bytes: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  for (let from = start, into = at; from < end; from++, into++) to[into] = bytes[from] as number;
}
