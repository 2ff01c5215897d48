/** The machine that was measured on: figures of two machines cannot be compared. */
import { spawnSync } from 'node:child_process';
import * as os from 'node:os';
import { installation, unavailable } from '../tools/mta/installation';
import { PYTHON } from './contenders';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  /** The load average of the minute before the run; above 0.3, other processes were at work. */
  readonly loadBefore: number;
  /** Versions by name; `unknown` if it cannot be found out. */
  readonly versions: Readonly<Record<string, string>>;
}

export function machine(): Machine {
  const cpus = os.cpus();
  const mtas = unavailable() === undefined ? installation().versions : undefined;
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()}`,
    loadBefore: Math.round((os.loadavg()[0] as number) * 100) / 100,
    versions: {
      'Node.js': process.versions.node,
      libmilter: firstLineOf('dpkg-query', ['-W', '-f', '$' + '{Version}', 'libmilter-dev']),
      pymilter: firstLineOf(PYTHON, ['-c', 'import Milter; print(Milter.__version__)']),
      Python: firstLineOf(PYTHON, ['-c', 'import platform; print(platform.python_version())']),
      'C compiler': firstLineOf(process.env.CC ?? 'cc', ['--version']),
      Postfix: mtas?.get('postfix') ?? 'unknown',
      Sendmail: mtas?.get('sendmail-bin') ?? 'unknown',
    },
  };
}

/** The first line that a command prints. */
function firstLineOf(command: string, args: string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  return (status === 0 && stdout.split('\n', 1)[0]?.trim()) || 'unknown';
}
