/** `tsmilter/utils`: functions for addresses, headers and host names. */
export { asciiDomain } from '../internal/a-labels.js';
export { printable } from '../internal/printable.js';
export { isDynip } from './dynip.js';
export { encodeHeader } from './encode-header.js';
export { type IniplistOptions, iniplist, type NameResolver } from './iniplist.js';
export { type MailAddress, type ParseAddressOptions, parseAddr, parseaddr } from './parse-addr.js';
export { type ParseHeaderOptions, parseHeader } from './parse-header.js';
export { type Signatures, unsign } from './unsign.js';
