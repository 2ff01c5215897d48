/** `tsmilter completion`: scripts by which shells complete subcommands and options. */
import { Argument, type Command } from 'commander';
import { type CommandContext, type Define, describe, EXIT } from '../command.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** The words that may follow a subcommand: its own subcommands and options. */
interface Words {
  readonly path: string;
  readonly words: readonly string[];
}

/** Adds `completion` to the program. */
export function registerCompletion(program: Command, define: Define): void {
  const command = program
    .command('completion')
    .summary('print a script by which a shell completes subcommands and options')
    .description('Prints a script for bash, zsh or fish.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS));
  describe(command, {
    examples: [
      'tsmilter completion bash > /etc/bash_completion.d/tsmilter',
      'tsmilter completion zsh > ~/.zfunc/_tsmilter',
      'tsmilter completion fish > ~/.config/fish/completions/tsmilter.fish',
    ],
  });
  define<[Shell]>(command, ({ output }: CommandContext, shell) => {
    output.printText(SCRIPTS[shell](wordsOf(program)));
    return EXIT.ok;
  });
}

/** The words of the program and of each subcommand, whose path is written `key generate`. */
function wordsOf(command: Command, path = ''): Words[] {
  const options = command.options.flatMap(({ long }) => (long ? [long] : []));
  const names = command.commands.map((sub) => sub.name());
  const below = command.commands.flatMap((sub) => wordsOf(sub, `${path} ${sub.name()}`.trim()));
  return [{ path, words: [...names, ...options, '--help'] }, ...below];
}

/** The branches of a `case` on the subcommands that were typed. */
const branches = (all: readonly Words[], act: (words: string) => string): string =>
  all.map(({ path, words }) => `    '${path}') ${act(words.join(' '))} ;;`).join('\n');

const SCRIPTS: Readonly<Record<Shell, (all: readonly Words[]) => string>> = {
  bash: (all) => `_tsmilter() {
  local words= path= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) break ;; esac
    case " ${pathsOf(all)} " in *" \${path:+$path:}$word "*) path="\${path:+$path:}$word" ;; *) break ;; esac
  done
  case "\${path//:/ }" in
${branches(all, (words) => `words='${words}'`)}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o bashdefault -o default -F _tsmilter tsmilter`,

  zsh: (all) => `#compdef tsmilter
_tsmilter() {
  local -a candidates
  local path_= word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] && break
    [[ " ${pathsOf(all)} " == *" \${path_:+$path_:}$word "* ]] || break
    path_="\${path_:+$path_:}$word"
  done
  case "\${path_//:/ }" in
${branches(all, (words) => `candidates=(${words})`)}
  esac
  compadd -a candidates
  _files
}
compdef _tsmilter tsmilter`,

  fish: (all) =>
    all
      .flatMap(({ path, words }) => {
        const seen =
          path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path.split(' ').at(-1)}`;
        return words.map((word) =>
          word.startsWith('--')
            ? `complete -c tsmilter -n '${seen}' -l ${word.slice(2)}`
            : `complete -c tsmilter -n '${seen}' -f -a ${word}`,
        );
      })
      .join('\n'),
};

/** All paths in one line, with colons: `run key key:generate`. */
const pathsOf = (all: readonly Words[]): string =>
  all
    .map(({ path }) => path.replaceAll(' ', ':'))
    .filter(Boolean)
    .join(' ');
