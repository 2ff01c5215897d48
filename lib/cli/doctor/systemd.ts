/** systemd units of filters: what in them keeps a filter from its socket, or from coming back. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText } from '../../config/read-text.js';
import type { Finding } from '../finding.js';

const MAX_FILE = 1024 * 1024;

interface Unit {
  readonly file: string;
  /** Values by key. Later ones of a key follow earlier ones; an empty one forgets them. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** Examines the units that are named, and those of a directory that name one of the sockets. */
export function checkUnits(
  files: readonly string[],
  directory: string,
  sockets: readonly string[],
): Finding[] {
  const named = files.map(readUnit);
  const others = unitsIn(directory).filter((unit) => !files.includes(unit.file) && mentions(unit, sockets));
  return [...named, ...others].flatMap((unit) =>
    unit.file.endsWith('.socket') ? [] : checkService(unit, sockets),
  );
}

function unitsIn(directory: string): Unit[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return []; // no systemd
  }
  return names
    .filter((name) => name.endsWith('.service'))
    .flatMap((name) => {
      try {
        return [readUnit(join(directory, name))];
      } catch {
        return []; // a link to nowhere, or a file of others
      }
    });
}

function readUnit(file: string): Unit {
  const values = new Map<string, string[]>();
  const text = readText(file, MAX_FILE).replace(/\\\n\s*/g, ' ');
  for (const line of text.split('\n')) {
    const [, key, value] = /^\s*([A-Za-z]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    if (value === '') values.delete(key);
    else values.set(key, [...(values.get(key) ?? []), value]);
  }
  return { file, values };
}

const mentions = ({ values }: Unit, sockets: readonly string[]): boolean =>
  sockets.some((socket) => values.get('ExecStart')?.some((command) => command.includes(socket)));

function checkService(unit: Unit, sockets: readonly string[]): Finding[] {
  const found: Finding[] = [];
  const add = (level: Finding['level'], message: string, cure: string) =>
    found.push({ level, code: 'systemd', about: unit.file, message, cure });
  const last = (key: string) => unit.values.get(key)?.at(-1);
  const isOn = (key: string) => /^(?:yes|true|on|1)$/i.test(last(key) ?? '');
  const own = sockets.filter((socket) => mentions(unit, [socket]));
  if (!/^(?:on-failure|on-abnormal|on-abort|always)$/.test(last('Restart') ?? '')) {
    add('warning', 'the filter stays away after a crash: there is no Restart=', 'add Restart=on-failure');
  }
  if (isOn('MemoryDenyWriteExecute')) {
    add(
      'error',
      'MemoryDenyWriteExecute= keeps Node.js from starting',
      'remove it: Node.js compiles JavaScript to machine code',
    );
  }
  if (last('User') === undefined && last('DynamicUser') === undefined) {
    add('note', 'the filter runs as root', 'add User= with an account of its own');
  }
  for (const socket of own) {
    if (isOn('PrivateTmp') && /^\/(?:var\/)?tmp\//.test(socket)) {
      add(
        'error',
        `PrivateTmp= hides ${socket} from the MTA`,
        'let the filter listen below /run (RuntimeDirectory=)',
      );
    }
    if (last('ProtectSystem') === 'strict' && !isWritable(unit, dirname(socket))) {
      add(
        'error',
        `ProtectSystem=strict makes ${dirname(socket)} read-only for the filter (EROFS)`,
        `add ReadWritePaths=${dirname(socket)}, or RuntimeDirectory= for a directory below /run`,
      );
    }
  }
  if (own.some((socket) => socket.startsWith('/run/')) && last('RuntimeDirectoryMode') === '0700') {
    add(
      'error',
      'RuntimeDirectoryMode=0700 shuts every other user out, the MTA too',
      'set RuntimeDirectoryMode=0750, and Group= to the group of the MTA',
    );
  }
  if (found.length > 0) return found;
  return [
    {
      level: 'ok',
      code: 'systemd',
      about: unit.file,
      message: 'lets the filter reach its socket, and restarts it',
    },
  ];
}

/** Whether ProtectSystem=strict exempts a directory. */
function isWritable({ values }: Unit, directory: string): boolean {
  const words = (key: string) => values.get(key)?.join(' ').split(/\s+/) ?? [];
  const exempted = [
    ...words('ReadWritePaths').map((path) => path.replace(/^[-+]+/, '')),
    ...words('RuntimeDirectory').map((name) => join('/run', name)),
    ...words('StateDirectory').map((name) => join('/var/lib', name)),
    '/tmp',
    '/var/tmp',
    ...['/dev', '/proc', '/sys'],
  ];
  return exempted.some((path) => directory === path || directory.startsWith(`${path}/`));
}
