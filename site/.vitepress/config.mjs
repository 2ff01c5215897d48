import { defineConfig } from 'vitepress';
import { sidebar } from '../sidebar.mjs';

/** As GitHub makes anchors of headings, because the pages are read there as well. */
const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

export default defineConfig({
  title: 'tsmilter',
  description: 'Mail filters for Sendmail and Postfix in TypeScript',
  srcDir: '.pages',
  // Dates of commits would differ from build to build.
  lastUpdated: false,
  // The examples in TSDoc have no language; all other blocks name theirs.
  markdown: { anchor: { slugify }, defaultHighlightLang: 'ts' },
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        miniSearch: {
          // A word in the API reference is on many of its pages; the guide explains it.
          searchOptions: { boostDocument: (page) => (page.startsWith('/api/') ? 0.2 : 1) },
        },
      },
    },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/readme' },
      { text: 'Operation', link: '/deploy' },
      { text: 'API', link: '/api/' },
      { text: 'Performance', link: '/performance' },
      { text: 'Changes', link: '/changelog' },
    ],
    sidebar: sidebar(),
  },
});
