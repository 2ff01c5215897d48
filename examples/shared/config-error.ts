/** A mistake in a configuration that the administrator has to correct; the message says where and how. */
export class ConfigError extends Error {}
