/** Serves the built site on the loopback address: node site/serve.mjs [PORT]. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { preview } from 'vite';

/** @returns vite's server, and the address of the first page */
export async function serve(port) {
  const server = await preview({
    configFile: false,
    root: import.meta.dirname,
    appType: 'mpa',
    logLevel: 'error',
    build: { outDir: path.join('.vitepress', 'dist') },
    preview: { host: '127.0.0.1', port, strictPort: true },
  });
  return { server, url: server.resolvedUrls.local[0] };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { url } = await serve(Number(process.argv[2] ?? 4173));
  console.log(`The site is at ${url}`);
}
