/** The filters in Postfix's main.cf and master.cf. */
import { join, resolve } from 'node:path';
import type { Finding } from '../finding.js';
import { PostfixParameters, type PostfixService, readMilters, readServices } from './postfix-files.js';
import {
  fromLibmilter,
  fromPostfix,
  type MtaConfiguration,
  type Route,
  spellings,
  type Target,
} from './route.js';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Which parameter lists the filters of which program. */
const LISTS: Readonly<Record<string, string>> = { smtpd: 'smtpd_milters', cleanup: 'non_smtpd_milters' };

/** What happens to mail if the filter fails, by `milter_default_action`. */
const ACTIONS: Readonly<Record<string, string>> = {
  tempfail: 'is deferred',
  shutdown: 'is deferred',
  reject: 'is rejected',
};

/** Reads the texts of a main.cf and of the master.cf beside it. @param file the name of main.cf */
export function readPostfixConfiguration(file: string, main: string, master: string): MtaConfiguration {
  const parameters = new PostfixParameters(main);
  const routes = new Map<string, Route>();
  const findings = new Map<string, Finding>();
  for (const service of readServices(master)) {
    const list = LISTS[service.program];
    if (list === undefined) continue;
    const own = service.overrides.get(list);
    const value = own === undefined ? parameters.get(list) : parameters.expand(own);
    const where =
      own === undefined
        ? `${file}: ${list}`
        : `${file.replace(/main\.cf$/, 'master.cf')}: ${service.name} ${list}`;
    for (const milter of readMilters(value ?? '')) {
      const read = readMilter(parameters, service, where, milter);
      for (const route of read.routes)
        routes.set(`${where} ${route.chroot} ${JSON.stringify(route.target)}`, route);
      for (const finding of read.findings) findings.set(JSON.stringify(finding), finding);
    }
  }
  if (routes.size === 0 && findings.size === 0) {
    findings.set('', {
      level: 'note',
      code: 'postfix-no-filter',
      about: file,
      message: 'has no mail filter',
      cure: 'set smtpd_milters = unix:/run/name/sock, and non_smtpd_milters for mail of local users',
    });
  }
  return { routes: [...routes.values()], findings: [...findings.values()] };
}

function readMilter(
  parameters: PostfixParameters,
  service: PostfixService,
  where: string,
  { socket, settings }: ReturnType<typeof readMilters>[number],
): MtaConfiguration {
  const setting = (own: string, common: string, fallback: string) =>
    settings.get(own) ?? service.overrides.get(common) ?? parameters.get(common) ?? fallback;
  const queue = parameters.get('queue_directory') ?? '/var/spool/postfix';
  const chroot = isChrooted(service, parameters) ? queue : null;
  const spelled = fromPostfix(socket);
  const findings = [
    actionFinding(where, setting('default_action', 'milter_default_action', 'tempfail')),
    ...(spelled ? [] : [spellingFinding(where, socket)]),
  ];
  if (!spelled) return { routes: [], findings };
  const route: Route = {
    mta: 'Postfix',
    where,
    user: parameters.get('mail_owner') ?? 'postfix',
    chroot,
    target: outside(spelled, queue, chroot),
    timeouts: {
      command: secondsOf(setting('command_timeout', 'milter_command_timeout', '30s')) * 1000,
      content: secondsOf(setting('content_timeout', 'milter_content_timeout', '300s')) * 1000,
      progressRestarts: true,
      progressWithinCommand: false,
      names: { command: 'milter_command_timeout', content: 'milter_content_timeout' },
    },
    refusesWritableDirectories: false,
  };
  return { routes: [route], findings };
}

/** Without y or n in master.cf, the default is n since compatibility level 1. */
function isChrooted({ chroot }: PostfixService, parameters: PostfixParameters): boolean {
  if (chroot === '-') return Number.parseFloat(parameters.get('compatibility_level') ?? '0') < 1;
  return chroot === 'y';
}

/** Where a socket is that Postfix names: relative to its queue directory, and below it in a chroot. */
function outside(target: Target, queue: string, chroot: string | null): Target {
  if (target.kind === 'inet') return target;
  return { kind: 'unix', path: chroot === null ? resolve(queue, target.path) : join(chroot, target.path) };
}

function actionFinding(about: string, action: string): Finding {
  const code = 'default-action';
  if (action === 'accept') {
    return {
      level: 'warning',
      code,
      about,
      message: 'milter_default_action = accept: mail passes unfiltered when the filter is away or fails',
      cure: 'set milter_default_action = tempfail, which defers it',
    };
  }
  if (action === 'quarantine') {
    return {
      level: 'note',
      code,
      about,
      message: 'mail goes to the hold queue when the filter fails',
      cure: 'release it with postsuper -H',
    };
  }
  const known = ACTIONS[action];
  if (known !== undefined)
    return { level: 'ok', code, about, message: `mail ${known} when the filter fails (${action})` };
  return {
    level: 'error',
    code,
    about,
    message: `"${action}" is not an action that Postfix knows`,
    cure: 'set milter_default_action = tempfail',
  };
}

function spellingFinding(about: string, socket: string): Finding {
  const meant = fromLibmilter(socket);
  return {
    level: 'error',
    code: 'postfix-socket',
    about,
    message: `"${socket}" is not how Postfix spells a socket${meant ? ', but how libmilter does' : ''}`,
    cure: meant ? `write ${spellings(meant).postfix}` : 'write unix:/path or inet:host:port',
  };
}

/** `30s`, `5m`; seconds without a unit. */
function secondsOf(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([smhdw]?)$/.exec(text.trim()) ?? [];
  return Number(digits ?? 0) * (SECONDS[unit || 's'] ?? 1);
}
