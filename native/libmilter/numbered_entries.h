// Directories of /proc and /dev whose entries are numbers: descriptors, threads.
#pragma once

#include <dirent.h>

#include "libmilter/socket_spec.h"

namespace milter {

// Calls `visit` with each entry that is a number; false if the directory cannot be read.
template <typename Visit>
bool forEachNumberedEntry(const char* path, const Visit& visit) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return false;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): each call has a directory stream of its own
  while (const dirent* const entry = ::readdir(directory)) {
    if (const auto number = parseNumber(entry->d_name)) visit(*number);
  }
  ::closedir(directory);
  return true;
}

}  // namespace milter
