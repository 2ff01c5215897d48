/** What a new project is about. */

export const LANGUAGES = ['typescript', 'javascript'] as const;
export type Language = (typeof LANGUAGES)[number];

/** `postfix-chroot`: as Debian and Ubuntu configure Postfix, whose smtpd cannot reach /run. */
export const MTAS = ['postfix-chroot', 'postfix', 'sendmail'] as const;
export type MtaKind = (typeof MTAS)[number];

export interface Project {
  /** Of the package, the filter, the unit and the socket's directory. */
  readonly name: string;
  readonly language: Language;
  readonly mta: MtaKind;
  /** The version of tsmilter, or where npm gets it. */
  readonly tsmilter: string;
}

/** Contents of files by path. */
export type Files = Readonly<Record<string, string>>;

/** The directory of the socket in production. */
export const socketDirectory = ({ name, mta }: Pick<Project, 'name' | 'mta'>): string =>
  mta === 'postfix-chroot' ? `/var/spool/postfix/${name}` : `/run/${name}`;

/** The module that is run, from the project's directory. */
export const moduleOf = ({ language }: Project): string =>
  language === 'typescript' ? 'dist/filter.js' : 'filter.js';
