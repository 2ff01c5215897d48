/** The macros of a session as libmilter keeps them: per stage, the latest stage first (smfi_getsymval). */

/** The slots in libmilter's order (CI_* of engine.c): eoh before eom, other than in SMFIM_*. */
export const STAGES = ['connect', 'helo', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'] as const;
/** A stage with macros of its own. */
export type Stage = (typeof STAGES)[number];

export class Symbols {
  readonly #slots: (ReadonlyMap<string, string> | undefined)[] = [];

  /** Takes the macros of a stage in place of those it had. */
  set(stage: Stage, macros: ReadonlyMap<string, string>): void {
    this.#slots[STAGES.indexOf(stage)] = macros;
  }

  /** Forgets the macros of the stages after this one; of all without it (mi_clr_macros). */
  clearAfter(stage?: Stage): void {
    this.#slots.length = Math.min(this.#slots.length, stage === undefined ? 0 : STAGES.indexOf(stage) + 1);
  }

  /** The value of a macro; `x` and `{x}` are one for single letters. */
  get(name: string): string | null {
    const other = /^\{.\}$/u.test(name) ? name.slice(1, -1) : name.length === 1 ? `{${name}}` : name;
    for (let slot = this.#slots.length - 1; slot >= 0; slot--) {
      const macros = this.#slots[slot];
      const value = macros?.get(name) ?? macros?.get(other);
      if (value !== undefined) return value;
    }
    return null;
  }
}
