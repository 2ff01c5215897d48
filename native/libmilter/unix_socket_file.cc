#include "libmilter/unix_socket_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "libmilter/descriptor.h"
#include "libmilter/open_diagnosis.h"

namespace milter {
namespace {

// Whether a process listens on the socket. That process sees a session which ends before it began.
bool isServed(const std::string& path) {
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unixAddress(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  // Only ECONNREFUSED says that no process listens. EAGAIN is a process with a full queue of connections,
  // EACCES another user's socket.
  return errno != ECONNREFUSED;
}

}  // namespace

sockaddr_un unixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

std::optional<OpenFailure> UnixSocketFile::makeRoom(bool removeStale) const {
  // libmilter's limit is one byte less than the system's.
  if (path_.size() + 1 >= sizeof(sockaddr_un::sun_path)) return fromErrno(ENAMETOOLONG, path_);
  struct stat file = {};
  if (lstat(path_.c_str(), &file) != 0) {
    return errno == ENOENT ? std::nullopt : std::optional(fromErrno(errno, path_));
  }
  if (!S_ISSOCK(file.st_mode)) return fromErrno(ENOTSOCK, path_);
  if (!removeStale || isServed(path_)) return fromErrno(EADDRINUSE, path_);
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return fromErrno(errno, path_);
  return std::nullopt;
}

void UnixSocketFile::rememberAsOwn() {
  struct stat file = {};
  if (lstat(path_.c_str(), &file) != 0) return;
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

bool UnixSocketFile::isOwn() const {
  struct stat file = {};
  return inode_ != 0 && lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

void UnixSocketFile::removeIfOwn() const {
  if (isOwn()) unlink(path_.c_str());
}

}  // namespace milter
