#include "libmilter/unix_socket_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "libmilter/descriptor.h"
#include "libmilter/open_diagnosis.h"

namespace milter {
namespace {

// libmilter's limit is one byte less than the system's.
bool fitsAddress(const std::string& path) { return path.size() + 1 < sizeof(sockaddr_un::sun_path); }

// `path` itself if the working directory cannot be found.
std::string fromRoot(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

OpenFailure replaced(const std::string& path) { return {"ERR_MILTER_SOCKET_REPLACED", path}; }

}  // namespace

UnixSocketFile::UnixSocketFile(const std::string& path)
    : path_(fromRoot(path)), addressPath_(fitsAddress(path_) ? path_ : path) {}

std::optional<OpenFailure> UnixSocketFile::makeRoom(bool removeStale) const {
  if (!fitsAddress(addressPath_)) return fromErrno(ENAMETOOLONG, addressPath_);
  struct stat file = {};
  if (lstat(path_.c_str(), &file) != 0) {
    return errno == ENOENT ? std::nullopt : std::optional(fromErrno(errno, path_));
  }
  if (!S_ISSOCK(file.st_mode)) return fromErrno(ENOTSOCK, path_);
  if (!removeStale) return fromErrno(EADDRINUSE, path_);
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fromErrno(errno, path_);
  // A process that listens on the socket sees a session which ends before it began. Only ECONNREFUSED says
  // that none does: EAGAIN is a process with a full queue of connections, EACCES another user's socket.
  const auto address = SocketAddress::ofUnixPath(addressPath_);
  if (::connect(fd.get(), address.get(), address.length()) == 0 || errno != ECONNREFUSED) {
    return fromErrno(EADDRINUSE, path_);
  }
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return fromErrno(errno, path_);
  return std::nullopt;
}

std::optional<OpenFailure> UnixSocketFile::adopt() {
  struct stat file = {};
#if defined(O_PATH)
  held_ = ::open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (held_ < 0) return errno == ENOENT ? replaced(path_) : fromErrno(errno, path_);
  if (fstat(held_, &file) != 0) return fromErrno(errno, path_);
#else
  if (lstat(path_.c_str(), &file) != 0) return replaced(path_);
#endif
  // bind() has made a socket of this user's with a single name. A link to a file of another kind, a second
  // name for a file that exists elsewhere, and another user's socket differ in one of these.
  if (!S_ISSOCK(file.st_mode) || file.st_uid != geteuid() || file.st_nlink != 1) return replaced(path_);
  device_ = file.st_dev;
  inode_ = file.st_ino;
  return std::nullopt;
}

// fchown() and fchmod() of the socket itself would not do: they change the socket, not the file that bind()
// has made for it. lchown() would follow no link, but take a second name of another file (link()), and Linux
// has no lchmod().
std::optional<OpenFailure> UnixSocketFile::changeOwner(std::optional<uid_t> owner,
                                                       std::optional<gid_t> group) const {
  const uid_t uid = owner.value_or(static_cast<uid_t>(-1));  // -1: stays as it is
  const gid_t gid = group.value_or(static_cast<gid_t>(-1));
#if defined(__linux__)
  const int result = fchownat(held_, "", uid, gid, AT_EMPTY_PATH);
#else
  const int result = fchownat(AT_FDCWD, path_.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW);
#endif
  return result == 0 ? std::nullopt : std::optional(fromErrno(errno, path_));
}

std::optional<OpenFailure> UnixSocketFile::changeMode(mode_t mode) const {
#if defined(__linux__)
  // fchmod() does not take a descriptor of this kind; the C library's fchmodat() uses its name too.
  const int result = chmod(heldName().c_str(), mode);
#else
  const int result = fchmodat(AT_FDCWD, path_.c_str(), mode, AT_SYMLINK_NOFOLLOW);
#endif
  return result == 0 ? std::nullopt : std::optional(fromErrno(errno, path_));
}

bool UnixSocketFile::isOwn() const {
  struct stat file = {};
  return inode_ != 0 && lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

void UnixSocketFile::removeIfOwn() const {
  if (isOwn()) unlink(path_.c_str());
}

}  // namespace milter
