/** The macros of a session as libmilter keeps them: by stage, the latest stage first (smfi_getsymval). */

/** The stages in libmilter's order (CI_* of engine.c): eoh before eom, unlike in SMFIM_*. */
export const STAGES = ['connect', 'helo', 'envfrom', 'envrcpt', 'data', 'eoh', 'eom'] as const;
/** A stage with macros of its own. */
export type Stage = (typeof STAGES)[number];

export class Symbols {
  readonly #byStage: (ReadonlyMap<string, string> | undefined)[] = [];

  /** Replaces the macros of a stage. */
  set(stage: Stage, macros: ReadonlyMap<string, string>): void {
    this.#byStage[STAGES.indexOf(stage)] = macros;
  }

  /** Forgets the macros of the stages after this one, or of all stages (mi_clr_macros). */
  clearAfter(stage?: Stage): void {
    this.#byStage.length = Math.min(
      this.#byStage.length,
      stage === undefined ? 0 : STAGES.indexOf(stage) + 1,
    );
  }

  /** The value of a macro; `x` and `{x}` name the same one for single letters. */
  get(name: string): string | null {
    const other = /^\{.\}$/u.test(name) ? name.slice(1, -1) : name.length === 1 ? `{${name}}` : name;
    for (let slot = this.#byStage.length - 1; slot >= 0; slot--) {
      const macros = this.#byStage[slot];
      const value = macros?.get(name) ?? macros?.get(other);
      if (value !== undefined) return value;
    }
    return null;
  }
}
