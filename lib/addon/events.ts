/** The events of a message to a JS thread, as native/binding/environment_state.cc writes them. */

/**
 * The events of a message, flat: step, number of arguments, the arguments, the next step, ... If the step has
 * {@link WITH_MACROS}, the first argument is a text with the macros of the event: name, NUL, value, NUL, ...
 */
export type Events = readonly unknown[];

/** Added to the step of an event that brings its macros along. */
export const WITH_MACROS = 0x100;

/** The step in an event's first word. */
export const stepIn = (word: unknown): number => (word as number) & ~WITH_MACROS;
