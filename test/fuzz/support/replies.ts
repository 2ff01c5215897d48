/** Checks that what a filter writes is well-formed, whatever it was sent. */

/** The commands of a filter: verdicts, changes, progress, and the answer to the offer. */
const KNOWN = new Set([...'Oacdrtfysphmieqb+-2l4'].map((letter) => letter.charCodeAt(0)));

/** The longest frame of a change: 65,535 bytes and its command, or what SMFIP_MDS_1M allows. */
const LONGEST = 1 << 20;

export class ReplyChecker {
  /** Whole frames so far. */
  frames = 0;
  /** What was wrong first, if anything. */
  problem: string | undefined;
  #head = Buffer.alloc(0);
  #skip = 0;

  /** Takes the next bytes. */
  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.problem === undefined) {
      if (this.#skip > 0) {
        const taken = Math.min(this.#skip, chunk.length - at);
        this.#skip -= taken;
        at += taken;
        if (this.#skip === 0) this.frames++;
        continue;
      }
      const taken = chunk.subarray(at, at + 5 - this.#head.length);
      this.#head = Buffer.concat([this.#head, taken]);
      at += taken.length;
      if (this.#head.length === 5) this.#begin();
    }
  }

  #begin(): void {
    const length = this.#head.readUInt32BE(0);
    const command = this.#head[4] as number;
    if (length === 0 || length > LONGEST || !KNOWN.has(command))
      this.problem = `a frame of ${length} bytes with the command ${command} after ${this.frames} frames`;
    this.#skip = length - 1;
    this.#head = Buffer.alloc(0);
    if (this.#skip === 0) this.frames++;
  }
}
