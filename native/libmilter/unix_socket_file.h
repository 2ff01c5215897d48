// A unix socket's file: whose it is, and when it may be removed.
#pragma once

#include <sys/types.h>
#include <sys/un.h>

#include <optional>
#include <string>

#include "bridge/process.h"

namespace milter {

sockaddr_un unixAddress(const std::string& path);

class UnixSocketFile {
 public:
  explicit UnixSocketFile(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // Makes room for a new socket. An existing file is removed if it is a socket on which no process listens,
  // and only if `removeStale` allows it.
  std::optional<OpenFailure> makeRoom(bool removeStale) const;

  // Remembers the file that is there now as the one that this process has created.
  void rememberAsOwn();
  // Whether the file is still the one that this process has created, and not another process's.
  bool isOwn() const;
  // Removes the file if it is this process's.
  void removeIfOwn() const;

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;  // 0: none remembered
};

}  // namespace milter
