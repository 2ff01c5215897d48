/** `tsmilter/config`: configuration files in the format of filters for pymilter, and files with secrets. */
export { MilterConfigParser, type MilterConfigParserOptions } from './config-parser.js';
export { type PrivateFileOptions, readPrivateFile } from './private-file.js';
export { booleanOf, entriesOf, integerOf } from './values.js';
