// A unix socket's file: whose it is, what it may be changed to, and when it may be removed.
//
// Another user may be able to write to its directory, and put a symbolic link to any file of the system in
// the place of the socket at any moment. So once the file exists, it is held by a descriptor, and what is
// checked, changed and compared is what the descriptor holds. The path is used only to connect and to remove
// its entry from the directory, and neither of these changes what a link points to.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "bridge/process.h"
#include "libmilter/socket_address.h"

namespace milter {

class UnixSocketFile {
 public:
  explicit UnixSocketFile(const std::string& path);
  // From the root, because the working directory may change.
  const std::string& path() const { return path_; }
  // The path that bind() and connect() can take: a path from the root may be too long for them.
  const std::string& addressPath() const { return addressPath_; }

  // Makes room for a new socket. An existing file is removed if it is a socket on which no process listens,
  // and only if `removeStale` allows it.
  std::optional<OpenFailure> makeRoom(bool removeStale) const;

  // Takes hold of the file that is there now as the one that this process has created.
  std::optional<OpenFailure> adopt();
  // Changes the file that adopt() has taken hold of, and no other. Owner, group or both may be left out.
  std::optional<OpenFailure> changeOwner(std::optional<uid_t> owner, std::optional<gid_t> group) const;
  std::optional<OpenFailure> changeMode(mode_t mode) const;

  // Where the socket can be reached whatever has become of its path: renamed, replaced, removed, relative to
  // a directory that is not the working directory any more. Needs /proc, and the right to read there, which a
  // process that has given up its privileges may have lost.
  SocketAddress heldAddress() const { return SocketAddress::ofUnixPath(heldName()); }

  // Whether the file is still the one that this process has created, and not another process's.
  bool isOwn() const;
  // Removes the file if it is this process's.
  void removeIfOwn() const;

 private:
  // The name in /proc that stands for the file itself, not for the path by which it was found.
  std::string heldName() const { return "/proc/self/fd/" + std::to_string(held_); }

  const std::string path_;
  const std::string addressPath_;
  int held_ = -1;  // never closed: while it is open, no other file gets the inode's number (R7)
  dev_t device_ = 0;
  ino_t inode_ = 0;  // 0: no file adopted
};

}  // namespace milter
