/** `tsmilter/config`: configuration files in the format of filters for pymilter. */
export { MilterConfigParser, type MilterConfigParserOptions } from './config-parser.js';
