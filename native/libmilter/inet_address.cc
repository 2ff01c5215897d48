#include "libmilter/inet_address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace milter {

std::optional<SocketAddress> resolve(const InetSpec& spec) {
  addrinfo hints{};
  hints.ai_family = spec.family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const char* const host = spec.host.empty() ? nullptr : spec.host.c_str();
  if (getaddrinfo(host, spec.port.c_str(), &hints, &found) != 0) return std::nullopt;
  const SocketAddress first(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return first;
}

std::string specOf(const SocketAddress& address) {
  const std::string port =
      (address.family() == AF_INET6 ? "inet6:" : "inet:") + std::to_string(address.port());
  return address.isWildcard() ? port : port + "@[" + address.host() + "]";
}

int bindTo(const SocketAddress& address) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // as libmilter does
  if (::bind(fd, address.get(), address.length()) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace milter
