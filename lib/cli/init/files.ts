/** All files of a new project. */
import { filterFiles } from './filter-files.js';
import { mtaFiles } from './mta-files.js';
import { packageFiles } from './package-files.js';
import type { Files, Project } from './project.js';
import { readmeFile } from './readme.js';

export function projectFiles(project: Project): Files {
  return {
    ...packageFiles(project),
    ...filterFiles(project),
    ...mtaFiles(project),
    'README.md': readmeFile(project),
  };
}
