#include "libmilter/listener.h"

#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "libmilter/descriptor.h"
#include "libmilter/descriptor_search.h"
#include "libmilter/open_diagnosis.h"
#include "libmilter/socket_permissions.h"
#include "libmilter/socket_spec.h"

namespace milter {
namespace {

// The file mode creation mask belongs to the process: it is changed only for the call that creates the
// socket.
class Umask {
 public:
  explicit Umask(mode_t mask) : old_(::umask(mask)) {}
  ~Umask() { ::umask(old_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  const mode_t old_;
};

// smfi_opensocket, asked not to remove a stale file: it would not look whether a process listens on it.
bool openSocket(const std::string& spec, bool forOwnerOnly) {
  std::optional<Umask> mask;
  if (forOwnerOnly) mask.emplace(0177);
  smfi_setconn(const_cast<char*>(spec.c_str()));
  return smfi_opensocket(false) == MI_SUCCESS;
}

}  // namespace

std::optional<OpenFailure> Listener::open(const std::string& spec, const OpenOptions& options) {
  if (opened_ && (spec != spec_ || !ready_)) return OpenFailure{"ERR_MILTER_ALREADY_RUN", spec};
  if (opened_) return std::nullopt;
  spec_ = spec;
  file_.reset();
  SocketPermissions permissions;
  const std::optional<int> inherited = inheritedDescriptorOf(spec);
  if (const std::string path = unixPathOf(spec); !path.empty()) {
    file_.emplace(path);
    if (auto failure = permissions.resolve(options)) return failure;
    if (auto failure = file_->makeRoom(options.removeStale)) return failure;
  } else if (inherited && !isListening(*inherited)) {
    return OpenFailure{fcntl(*inherited, F_GETFD) < 0 ? "EBADF" : "ENOTSOCK", spec};
  }
  const std::set<int> before = listeningDescriptors();
  // No other user may connect before the socket has the permissions asked for.
  if (!openSocket(spec, permissions.requested())) return diagnoseOpenFailure(spec);
  opened_ = true;
  findAddress([&](int fd) { return fd == inherited || before.count(fd) == 0; });
  if (file_) {
    file_->rememberAsOwn();
    if (auto failure = permissions.applyPermissions(file_->path())) {
      removeFile();
      return failure;
    }
  }
  ready_ = true;
  return std::nullopt;
}

// The address of the first listening socket that `isNew`.
void Listener::findAddress(const std::function<bool(int fd)>& isNew) {
  for (const int fd : listeningDescriptors()) {
    if (!isNew(fd)) continue;
    addressLength_ = sizeof address_;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address_), &addressLength_) == 0) return;
    addressLength_ = 0;
  }
}

void Listener::wakeListener() const {
  if (addressLength_ == 0 || (file_ && !file_->isOwn())) return;
  sockaddr_storage target = address_;
  // Not every system connects to a wildcard address; the loopback address reaches the same socket.
  auto* const in = reinterpret_cast<sockaddr_in*>(&target);
  auto* const in6 = reinterpret_cast<sockaddr_in6*>(&target);
  if (target.ss_family == AF_INET && in->sin_addr.s_addr == htonl(INADDR_ANY)) {
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  if (target.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) {
    in6->sin6_addr = in6addr_loopback;
  }
  const Descriptor fd(::socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  (void)!::connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), addressLength_);
}

void Listener::removeFile() const {
  if (file_) file_->removeIfOwn();
}

int Listener::port() const { return addressLength_ == 0 ? 0 : portOf(address_); }

void Listener::forEachConnection(const std::function<void(int fd)>& visit) const {
  if (port() != 0) milter::forEachConnection(port(), visit);
}

}  // namespace milter
