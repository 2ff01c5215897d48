#include "libmilter/listener.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <libmilter/mfapi.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include "libmilter/errno_name.h"

namespace milter {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// The file-mode mask is the process's: held for the one system call that makes the socket.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  ~Umask() { ::umask(old_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  const mode_t old_;
};

OpenFailure fromErrno(int error, const std::string& about) { return {errnoName(error), about}; }

bool startsWith(const std::string& text, std::string_view start) {
  return text.size() >= start.size() && strncasecmp(text.c_str(), start.data(), start.size()) == 0;
}

// libmilter takes a description without a colon, or with nothing before it, for a path.
std::string pathOf(const std::string& spec) {
  for (const std::string_view scheme : {"unix:", "local:", ":"}) {
    if (startsWith(spec, scheme)) return spec.substr(scheme.size());
  }
  return spec.find(':') == std::string::npos ? spec : "";
}

std::optional<unsigned> number(const std::string& text) {
  unsigned value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  // The greatest means "leave it" to chown().
  if (error != std::errc() || stop != end || value == std::numeric_limits<unsigned>::max())
    return std::nullopt;
  return value;
}

std::optional<uid_t> userId(const std::string& name) {
  if (const auto id = number(name)) return *id;
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found ? std::optional<uid_t>(found->pw_uid) : std::nullopt;
}

std::optional<gid_t> groupId(const std::string& name) {
  if (const auto id = number(name)) return *id;
  std::vector<char> buffer(65536);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found ? std::optional<gid_t>(found->gr_gid) : std::nullopt;
}

bool isOwnGroup(gid_t group) {
  if (group == getegid()) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  return std::find(groups.begin(), groups.begin() + std::max(count, 0), group) !=
         groups.begin() + std::max(count, 0);
}

sockaddr_un unixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

// Whether a process answers on the unix socket. It sees a session that ends before it began.
bool isServed(const std::string& path) {
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unixAddress(path);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  // Only this says that nobody listens. A full queue (EAGAIN) is a busy process; EACCES is another user's.
  return errno != ECONNREFUSED;
}

bool isListening(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening;
}

template <class Visit>
void eachDescriptor(Visit&& visit) {
  if (DIR* const directory = opendir("/dev/fd")) {
    while (const dirent* const entry = readdir(directory)) {
      if (const auto fd = number(entry->d_name)) visit(static_cast<int>(*fd));
    }
    closedir(directory);
  } else {  // no such folder, or closed to a process that has given up its rights
    constexpr int kUsual = 4096;
    for (int fd = 0; fd < kUsual; ++fd) visit(fd);
  }
}

std::set<int> listeningDescriptors() {
  std::set<int> found;
  eachDescriptor([&](int fd) {
    if (isListening(fd)) found.insert(fd);
  });
  return found;
}

// The port of an address, 0 where its family has none.
int portOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

std::optional<int> descriptorOf(const std::string& spec) {
  if (!startsWith(spec, "fd:")) return std::nullopt;
  const auto fd = number(spec.substr(3));
  return fd ? static_cast<int>(*fd) : -1;
}

OpenFailure diagnoseInet(const std::string& spec) {
  const bool v6 = startsWith(spec, "inet6:");
  std::string port = spec.substr(spec.find(':') + 1);
  std::string host;
  if (const size_t at = port.find('@'); at != std::string::npos) {
    host = port.substr(at + 1);
    port.resize(at);
    if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_family = v6 ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found) != 0)
    return {"ENOTFOUND", spec};
  const Descriptor fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  int error = 0;
  if (fd.get() < 0 || ::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd.get(), 1) != 0)
    error = errno;
  freeaddrinfo(found);
  return error ? fromErrno(error, spec) : OpenFailure{"ERR_MILTER_OPEN_SOCKET", spec};
}

OpenFailure diagnoseUnix(const std::string& path) {
  const Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = unixAddress(path);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fromErrno(errno, path);
  ::unlink(path.c_str());
  return {"ERR_MILTER_OPEN_SOCKET", path};
}

}  // namespace

std::optional<OpenFailure> Listener::open(const std::string& spec, const OpenOptions& options) {
  // libmilter does not close a socket before it stops: a later call would find the first one open, and be
  // content.
  if (opened_ && (spec != spec_ || !ready_)) return OpenFailure{"ERR_MILTER_ALREADY_RUN", spec};
  if (opened_) return std::nullopt;
  spec_ = spec;
  path_ = pathOf(spec);
  if (!path_.empty()) {
    if (auto failure = resolve(options)) return failure;
    if (auto failure = removeStaleSocket(options)) return failure;
  } else if (const auto fd = descriptorOf(spec); fd && !isListening(*fd)) {
    return OpenFailure{fcntl(*fd, F_GETFD) < 0 ? "EBADF" : "ENOTSOCK", spec};
  }
  const std::set<int> before = listeningDescriptors();
  {
    // Nobody may connect before the permissions are the ones asked for.
    std::optional<Umask> mask;
    if (!path_.empty() && (options.mode || options.owner || options.group)) mask.emplace(0177);
    smfi_setconn(const_cast<char*>(spec.c_str()));
    // Without its own removal of a stale file: removeStaleSocket() has done that, and asked before.
    if (smfi_opensocket(false) != MI_SUCCESS) return diagnose();
    opened_ = true;
  }
  for (const int fd : listeningDescriptors()) {
    if (before.count(fd) && fd != descriptorOf(spec)) continue;
    addressLength_ = sizeof address_;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address_), &addressLength_) == 0) break;
    addressLength_ = 0;
  }
  if (!path_.empty()) {
    rememberFile();
    if (auto failure = applyPermissions(options)) {
      removeFile();
      return failure;
    }
  }
  ready_ = true;
  return std::nullopt;
}

std::optional<OpenFailure> Listener::removeStaleSocket(const OpenOptions& options) const {
  if (path_.size() + 1 >= sizeof(sockaddr_un::sun_path))
    return fromErrno(ENAMETOOLONG, path_);  // libmilter's limit
  struct stat file {};
  if (lstat(path_.c_str(), &file) != 0)
    return errno == ENOENT ? std::nullopt : std::optional(fromErrno(errno, path_));
  if (!S_ISSOCK(file.st_mode)) return fromErrno(ENOTSOCK, path_);
  if (!options.removeStale || isServed(path_)) return fromErrno(EADDRINUSE, path_);
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return fromErrno(errno, path_);
  return std::nullopt;
}

// Whether chown() to these would be allowed. Asked before the socket exists: libmilter cannot close one
// again.
std::optional<OpenFailure> Listener::resolve(const OpenOptions& options) {
  const bool mayAll = geteuid() == 0;
  if (options.owner) {
    const auto id = userId(*options.owner);
    if (!id || (!mayAll && *id != geteuid())) return OpenFailure{"EPERM", "owner " + *options.owner};
    owner_ = *id;
  }
  if (options.group) {
    const auto id = groupId(*options.group);
    if (!id || (!mayAll && !isOwnGroup(*id))) return OpenFailure{"EPERM", "group " + *options.group};
    group_ = *id;
  }
  return std::nullopt;
}

std::optional<OpenFailure> Listener::applyPermissions(const OpenOptions& options) const {
  if ((options.owner || options.group) && chown(path_.c_str(), owner_, group_) != 0)
    return fromErrno(errno, path_);
  constexpr mode_t kGroupMayConnect = 0660;  // libmilter's usual advice where only an owner or group is given
  if (options.mode || options.owner || options.group) {
    if (chmod(path_.c_str(), options.mode.value_or(kGroupMayConnect)) != 0) return fromErrno(errno, path_);
  }
  return std::nullopt;
}

// smfi_opensocket reports to syslog only: do the same once more, and look.
OpenFailure Listener::diagnose() const {
  if (!path_.empty()) return diagnoseUnix(path_);
  if (startsWith(spec_, "inet:") || startsWith(spec_, "inet6:")) return diagnoseInet(spec_);
  return {"ERR_MILTER_BAD_SOCKET", spec_};
}

void Listener::rememberFile() {
  struct stat file {};
  if (lstat(path_.c_str(), &file) != 0) return;
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

// Whether the unix socket's file still is the one that open() made, and not another process's.
bool Listener::ownsFile() const {
  struct stat file {};
  return inode_ != 0 && lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ && file.st_ino == inode_;
}

void Listener::wakeListener() const {
  if (addressLength_ == 0 || (!path_.empty() && !ownsFile())) return;
  sockaddr_storage target = address_;
  // A wildcard address is not one to connect to everywhere: the loopback one is behind it.
  auto* const in = reinterpret_cast<sockaddr_in*>(&target);
  auto* const in6 = reinterpret_cast<sockaddr_in6*>(&target);
  if (target.ss_family == AF_INET && in->sin_addr.s_addr == htonl(INADDR_ANY))
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (target.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
    in6->sin6_addr = in6addr_loopback;
  const Descriptor fd(::socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  (void)!::connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), addressLength_);
}

void Listener::removeFile() const {
  if (!path_.empty() && ownsFile()) unlink(path_.c_str());
}

int Listener::port() const { return addressLength_ == 0 ? 0 : portOf(address_); }

void Listener::eachConnection(const std::function<void(int fd)>& visit) const {
  eachDescriptor([&](int fd) {
    sockaddr_storage local{};
    socklen_t length = sizeof local;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return;
    if (portOf(local) == port() && port() != 0 && !isListening(fd)) visit(fd);
  });
}

}  // namespace milter
