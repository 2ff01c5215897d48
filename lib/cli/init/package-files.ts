/** package.json, the compiler's settings, and what git ignores. */
import { type Files, moduleOf, type Project } from './project.js';

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

export function packageFiles(project: Project): Files {
  const { name, language, tsmilter } = project;
  const module = moduleOf(project);
  const isTyped = language === 'typescript';
  const run = `tsmilter run ${module} --socket unix:${name}.sock --workers 1`;
  const tested = `node --test ${module.replace('.js', '.test.js')}`;
  const manifest = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      ...(isTyped && { build: 'tsc' }),
      test: isTyped ? `tsc && ${tested}` : tested,
      ...(isTyped && { prestart: 'tsc' }),
      start: run,
      dev: `${run} --watch`,
    },
    dependencies: { tsmilter },
    ...(isTyped && { devDependencies: { '@types/node': '^20.19.0', typescript: '^6.0.0' } }),
  };
  return {
    'package.json': json(manifest),
    '.gitignore': ['node_modules/', ...(isTyped ? ['dist/'] : []), '*.sock', ''].join('\n'),
    ...(isTyped && { 'tsconfig.json': json(COMPILER) }),
  };
}

/** noImplicitOverride makes the compiler refuse a misspelt handler. */
const COMPILER = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    noImplicitOverride: true,
    rootDir: 'src',
    outDir: 'dist',
    skipLibCheck: true,
  },
  include: ['src'],
};
