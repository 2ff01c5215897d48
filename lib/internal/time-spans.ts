/** Time spans in milliseconds. */
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The longest that an option can be: a hundred years. Times within it are exact in the numbers of JavaScript and of Lua. */
export const MAX_SPAN = 36_525 * DAY;
