/** The filters in a sendmail.cf: `X` lines and InputMailFilters. */
import { statSync } from 'node:fs';
import type { Finding } from '../finding.js';
import {
  fromLibmilter,
  fromPostfix,
  type MtaConfiguration,
  type Route,
  spellings,
  type Timeouts,
} from './route.js';

interface NumberedLine {
  readonly text: string;
  readonly number: number;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
/** Sendmail's own, in seconds: T=C:5m;S:10s;R:10s;E:5m. */
const DEFAULT_TIMEOUTS = { R: 10, E: 300 };

/** Reads the text of a sendmail.cf. @param file its name, for findings and to find the sendmail.mc beside it */
export function readSendmailConfiguration(file: string, text: string): MtaConfiguration {
  const lines = logicalLines(text);
  const used = usedFilters(lines);
  const blame = optionOf(lines, 'DontBlameSendmail') ?? '';
  const findings: Finding[] = staleConfiguration(file);
  const routes: Route[] = [];
  for (const { text, number } of lines) {
    const [, name, rest] = /^X([^,\s]+)\s*,(.*)$/s.exec(text) ?? [];
    if (name === undefined || rest === undefined) continue;
    const about = `${file}:${number}`;
    const fields = fieldsOf(rest);
    findings.push(...filterFindings(about, name, fields, used));
    const target = fromLibmilter(fields.get('S') ?? '');
    if (!target) continue;
    routes.push({
      mta: 'Sendmail',
      where: about,
      user: 'root',
      chroot: null,
      target,
      timeouts: timeoutsOf(fields.get('T') ?? ''),
      refusesWritableDirectories: !/GroupWritableDirPathSafe|WorldWritable|TrustStickyBit/i.test(blame),
    });
  }
  if (routes.length === 0 && findings.every(({ level }) => level !== 'error')) {
    findings.push({
      level: 'note',
      code: 'sendmail-no-filter',
      about: file,
      message: 'has no mail filter',
      cure: "add INPUT_MAIL_FILTER(`name', `S=local:/run/name/sock, F=T') to sendmail.mc, then make sendmail.cf again",
    });
  }
  return { routes, findings };
}

/** Lines with those that continue them, without comments. */
function logicalLines(text: string): NumberedLine[] {
  const lines: { text: string; number: number }[] = [];
  text.split('\n').forEach((line, at) => {
    const last = lines.at(-1);
    if (/^[ \t]/.test(line) && last) last.text += ` ${line.trim()}`;
    else if (line !== '' && !line.startsWith('#')) lines.push({ text: line.trimEnd(), number: at + 1 });
  });
  return lines;
}

function optionOf(lines: readonly NumberedLine[], name: string): string | undefined {
  const found = lines.findLast(({ text }) => text.startsWith(`O ${name}=`));
  return found?.text.slice(name.length + 3);
}

/** The filters that are named by InputMailFilters, for all daemons or for one. */
function usedFilters(lines: readonly NumberedLine[]): ReadonlySet<string> {
  const common = optionOf(lines, 'InputMailFilters')?.split(/[,;]/) ?? [];
  const ofDaemons = lines
    .filter(({ text }) => text.startsWith('O DaemonPortOptions='))
    .flatMap(({ text }) => /(?:InputMailFilters|I)\s*=\s*([^,]+)/.exec(text)?.[1]?.split(';') ?? []);
  return new Set([...common, ...ofDaemons].map((name) => name.trim()));
}

/** `S=..., F=..., T=...`, by letter. */
function fieldsOf(rest: string): Map<string, string> {
  const parts = rest.split(',').map((part) => /^\s*([A-Z])\s*=\s*(.*?)\s*$/s.exec(part));
  return new Map(parts.flatMap((part) => (part ? [[part[1] as string, part[2] as string]] : [])));
}

function filterFindings(
  about: string,
  name: string,
  fields: ReadonlyMap<string, string>,
  used: ReadonlySet<string>,
): Finding[] {
  const found: Finding[] = [];
  const add = (level: Finding['level'], code: string, message: string, cure?: string) =>
    found.push({ level, code, about, message, ...(cure !== undefined && { cure }) });
  if (!used.has(name)) {
    const cure = `use INPUT_MAIL_FILTER in place of MAIL_FILTER, or add ${name} to confINPUT_MAIL_FILTERS`;
    add(
      'error',
      'sendmail-unused',
      `the filter ${name} is defined, but no InputMailFilters names it: no mail reaches it`,
      cure,
    );
  }
  const socket = fields.get('S') ?? '';
  if (!fromLibmilter(socket)) {
    const meant = fromPostfix(socket);
    const cure = meant ? `write S=${spellings(meant).sendmail}` : 'write S=local:/path or S=inet:port@host';
    add(
      'error',
      'sendmail-socket',
      `"${socket}" is not how Sendmail spells a socket${meant ? ', but how Postfix does' : ''}`,
      cure,
    );
  }
  const flags = fields.get('F') ?? '';
  if (/[TR4]/.test(flags))
    add('ok', 'default-action', `F=${flags}: mail does not pass the filter ${name} when it fails`);
  else
    add(
      'warning',
      'default-action',
      `without F=T or F=R, mail passes unfiltered when the filter ${name} is away or fails`,
      'add F=T, which defers it',
    );
  return found;
}

/** `C:5m;S:10s;R:10s;E:5m`. */
function timeoutsOf(text: string): Timeouts {
  const given = new Map(
    [...text.matchAll(/([CSRE]):([\w]+)/g)].map(([, letter, time]) => [letter, secondsOf(time as string)]),
  );
  return {
    command: (given.get('R') ?? DEFAULT_TIMEOUTS.R) * 1000,
    content: (given.get('E') ?? DEFAULT_TIMEOUTS.E) * 1000,
    progressRestarts: false,
    progressWithinCommand: true,
    names: { command: 'T=R: of the filter', content: 'T=E: of the filter' },
  };
}

/** `10s`, `5m`, `1h30m`; seconds without a unit. */
function secondsOf(text: string): number {
  return [...text.matchAll(/(\d+)([a-z]?)/g)].reduce(
    (sum, [, digits, unit]) => sum + Number(digits) * (SECONDS[unit || 's'] ?? 1),
    0,
  );
}

/** A sendmail.mc that is newer than the sendmail.cf has changes that are not in effect. */
function staleConfiguration(file: string): Finding[] {
  const source = file.replace(/\.cf$/, '.mc');
  const [mc, cf] = [source, file].map((name) => statSync(name, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (source === file || (mc ?? 0) <= (cf ?? 0)) return [];
  const cure = `run make in its directory (Debian: sendmailconfig), then restart Sendmail`;
  return [
    { level: 'warning', code: 'sendmail-stale', about: source, message: `is newer than ${file}`, cure },
  ];
}
