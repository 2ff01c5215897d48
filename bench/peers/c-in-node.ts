/**
 * Runs the filter in C with its handlers on Node's thread: see node.c.
 *
 *     c-in-node.js SOCKET VARIANT WAIT BURN
 */
require('./c-filter.node').run(...process.argv.slice(2), () => {});
