#include "libmilter/listener.h"

#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "libmilter/descriptor.h"
#include "libmilter/descriptor_search.h"
#include "libmilter/inet_address.h"
#include "libmilter/open_diagnosis.h"
#include "libmilter/socket_handover.h"
#include "libmilter/socket_permissions.h"

namespace milter {
namespace {

// The file mode creation mask belongs to the process: it is changed only for the call that creates the
// socket, and never to a wider one, because other threads may create files meanwhile.
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
bool openSocket(const std::string& spec) {
  smfi_setconn(const_cast<char*>(spec.c_str()));
  return smfi_opensocket(false) == MI_SUCCESS;
}

}  // namespace

std::optional<OpenFailure> Listener::open(const std::string& spec, const OpenOptions& options) {
  if (opened_ && (spec != spec_ || !ready_)) return OpenFailure{"ERR_MILTER_ALREADY_RUN", spec};
  if (opened_) return std::nullopt;
  spec_ = spec;
  file_.reset();
  std::optional<OpenFailure> failure = OpenFailure{"ERR_MILTER_BAD_SOCKET", spec};
  if (const std::string path = unixPathOf(spec); !path.empty()) {
    failure = openUnix(path, options);
  } else if (const auto inherited = inheritedDescriptorOf(spec)) {
    failure = openInherited(*inherited, spec);
  } else if (const auto inet = inetSpecOf(spec)) {
    failure = openInet(*inet, spec);
  }
  ready_ = !failure;
  return failure;
}

std::optional<OpenFailure> Listener::openUnix(const std::string& path, const OpenOptions& options) {
  SocketPermissions permissions;
  if (auto failure = permissions.resolve(options)) return failure;
  file_.emplace(path);
  if (auto failure = file_->makeRoom(options.removeStale)) return failure;
  const auto address = SocketAddress::ofUnixPath(file_->addressPath());
  {
    std::optional<Umask> mask;
    // No other user may connect before the socket has the permissions asked for.
    if (permissions.requested()) mask.emplace(0177);
    if (!openSocket("unix:" + file_->addressPath())) return diagnoseOpenFailure(address, file_->path());
  }
  noteOpened(address);
  if (auto failure = file_->adopt()) return failure;
  if (!permissions.requested()) return std::nullopt;
  auto failure = permissions.apply(*file_);
  if (failure) removeFile();
  return failure;
}

std::optional<OpenFailure> Listener::openInet(const InetSpec& inet, const std::string& spec) {
  auto address = resolve(inet);
  if (!address) return OpenFailure{"ENOTFOUND", spec};
  std::optional<Descriptor> reserved;
  if (address->port() == 0) {
    // libmilter would not tell the port that it got, and other threads may listen on new ports meanwhile. So
    // the system chooses one here, and it stays reserved until libmilter has it.
    reserved.emplace(bindTo(*address));
    if (reserved->get() < 0) return fromErrno(errno, spec);
    address = SocketAddress::of(reserved->get());
#if !defined(__linux__)
    reserved.reset();  // only Linux lets two sockets with SO_REUSEADDR have one port while neither listens
#endif
  }
  if (!openSocket(specOf(*address))) return diagnoseOpenFailure(*address, spec);
  noteOpened(*address);
  return std::nullopt;
}

std::optional<OpenFailure> Listener::openInherited(int fd, const std::string& spec) {
  if (!isListening(fd)) return OpenFailure{fcntl(fd, F_GETFD) < 0 ? "EBADF" : "ENOTSOCK", spec};
  const auto address = SocketAddress::of(fd);
  if (!openSocket(spec)) return OpenFailure{"ERR_MILTER_BAD_SOCKET", spec};
  neverBlockAccept(fd);
  inherited_ = fd;
  noteOpened(*address);
  return std::nullopt;
}

void Listener::noteOpened(const SocketAddress& address) {
  opened_ = true;
  address_ = address;
  wakeup_.prepare(address.family());
}

void Listener::wakeListener() {
  if (!address_) return;
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  if (handedOver_) {
    thread_.interrupt();
    return;
  }
  wakeupsUnderWay_.fetch_add(1);  // before libmilter can end it
  if (!connectToSelf()) noteEndWithoutSession();
}

bool Listener::connectToSelf() {
  if (file_ && wakeup_.connect(file_->heldAddress())) return true;
  return (!file_ || file_->isOwn()) && wakeup_.connect(address_->reachable());
}

void Listener::noteEndWithoutSession() {
  int underWay = wakeupsUnderWay_.load();
  while (underWay > 0 && !wakeupsUnderWay_.compare_exchange_weak(underWay, underWay - 1)) {
  }
}

void Listener::awaitWakeups() const {
  constexpr std::chrono::milliseconds kPause{1};
  constexpr int kMost = 100;
  for (int i = 0; i < kMost && wakeupsUnderWay() > 0; ++i) std::this_thread::sleep_for(kPause);
}

void Listener::removeFile() const {
  if (file_) file_->removeIfOwn();
}

bool Listener::handOver() {
  if (!inherited_) return false;
  // A connection that is to wake libmilter must not be left to the next filter.
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  handedOver_ = replaceListener(*inherited_);
  // libmilter waits for the old socket, until it is woken.
  if (handedOver_) thread_.interrupt();
  return handedOver_;
}

bool Listener::hasConnections() const {
  bool found = false;
  milter::forEachConnection(*address_, [&found](int) { found = true; });
  return found;
}

bool Listener::hasUnreadConnection() const {
  bool found = false;
  milter::forEachConnection(*address_, [&found](int fd) { found = found || isReadable(fd); });
  return found;
}

void Listener::hangUp() const {
  milter::forEachConnection(*address_, [this](int fd) {
    // libmilter may close it at this moment, and its number be given to another socket of the process: what a
    // duplicate stands for does not change any more.
    const Descriptor duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (isConnection(*address_, duplicate.get())) ::shutdown(duplicate.get(), SHUT_RDWR);
  });
}

void Listener::forEachConnection(const std::function<void(int fd)>& visit) const {
  if (port() != 0) milter::forEachConnection(*address_, visit);
}

}  // namespace milter
