/** Compile-time equality: `check<Equal<A, B>>()` does not compile where the types differ. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles for `true` only. */
export function check<Truth extends true>(truth?: Truth): void {
  void truth;
}
