#include "libmilter/socket_handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libmilter/descriptor.h"
#include "libmilter/inet_address.h"

namespace milter {
namespace {

// A socket of that family at an address that the system chooses: libmilter minds the family of its clients.
int bindAnywhere(int family) {
  if (family == AF_INET || family == AF_INET6) {
    const auto loopback = resolve({family, family == AF_INET ? "127.0.0.1" : "::1", "0"});
    return loopback ? bindTo(*loopback) : -1;
  }
#if defined(__linux__)
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr nameless{};
  nameless.sa_family = static_cast<sa_family_t>(family);
  // An address of no more than the family asks for a name that is not in the file system: unix(7), autobind.
  if (fd >= 0 && ::bind(fd, &nameless, sizeof nameless.sa_family) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
#else
  return -1;
#endif
}

// The kernel exchanges them in one step, so a thread that uses `number` meanwhile has one or the other. The
// system call is made directly, because ThreadSanitizer takes dup3() for a close() and reports that thread.
bool exchange(int replacement, int number) {
#if defined(__linux__)
  return ::syscall(SYS_dup3, replacement, number, O_CLOEXEC) == number;
#else
  return ::dup2(replacement, number) == number;
#endif
}

}  // namespace

void neverBlockAccept(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

std::optional<SocketAddress> replaceListener(int fd) {
  const auto address = SocketAddress::of(fd);
  if (!address) return std::nullopt;
  const Descriptor substitute(bindAnywhere(address->family()));
  if (substitute.get() < 0) return std::nullopt;
  neverBlockAccept(substitute.get());
  constexpr int kBacklog = 16;
  const auto reachable = SocketAddress::of(substitute.get());
  if (!reachable || ::listen(substitute.get(), kBacklog) != 0) return std::nullopt;
  return exchange(substitute.get(), fd) ? reachable : std::nullopt;
}

}  // namespace milter
