/** `tsmilter/config`: configuration files as filters of pymilter have them. */
export { MilterConfigParser, type MilterConfigParserOptions } from './config-parser.js';
