/** What the pages are called and in which order the sidebar has them. */
import fs from 'node:fs';
import path from 'node:path';

const pages = path.join(import.meta.dirname, '.pages');

/** Pages that no group names, such as new ones, are in the last group. */
const GROUPS = {
  'Getting started': ['readme', 'deploy', 'docker', 'runtimes', 'comparison'],
  'Writing a filter': [
    ...[
      'callbacks',
      'actions',
      'message',
      'mime',
      'headers',
      'macros',
      'encodings',
      'delivery',
      'ipv6',
      'errors',
    ],
    ...['testing', 'lowlevel'],
  ],
  'Running it': [
    ...['cli', 'sockets', 'systemd', 'stopping', 'reload', 'workers', 'logging', 'monitoring', 'tuning'],
    ...['troubleshooting', 'performance'],
  ],
  'Policies and lists': [
    ...[
      'policy',
      'lists',
      'greylist',
      'reputation',
      'ratelimit',
      'dnsbl',
      'scan',
      'archive',
      'cache',
      'config',
      'utils',
    ],
  ],
  'DNS and authentication': ['dns', 'spf', 'dkim', 'keys', 'dmarc', 'arc', 'authres', 'srs', 'dsn'],
  'Complete filters': ['spfmilter', 'authmilter', 'guard'],
  'From other milters': ['pymilter', 'moving-from-bms', 'contract', 'upgrading'],
  'The project': ['security', 'security-policy', 'changelog', 'contributing', 'releasing'],
};

function titleOf(file) {
  const [, title] = /^# (.*)$/m.exec(fs.readFileSync(path.join(pages, file), 'utf8'));
  return title.replaceAll('`', '').replaceAll('\\', '');
}

const entry = (name) => ({ text: titleOf(`${name}.md`), link: `/${name}` });

/** The API reference: a page for each entry point. */
function reference() {
  const modules = fs
    .readdirSync(path.join(pages, 'api'), { recursive: true })
    .filter((file) => file.endsWith('.md') && file !== 'index.md')
    .sort();
  const items = modules.map((file) => ({
    text: titleOf(path.join('api', file)),
    link: `/api/${file.replace(/\.md$/, '')}`,
  }));
  return { text: 'API reference', link: '/api/', collapsed: true, items };
}

export function sidebar() {
  const all = fs.readdirSync(pages).filter((file) => file.endsWith('.md') && file !== 'index.md');
  const named = new Set(Object.values(GROUPS).flat());
  const others = all.map((file) => file.replace(/\.md$/, '')).filter((name) => !named.has(name));
  const groups = Object.entries(GROUPS).map(([text, names]) => ({
    text,
    collapsed: false,
    items: names.map(entry),
  }));
  if (others.length > 0) groups.push({ text: 'More', items: others.map(entry) });
  return [...groups, reference()];
}
