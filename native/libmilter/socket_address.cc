#include "libmilter/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace milter {
namespace {

const sockaddr_in& in4(const SocketAddress& address) {
  return *reinterpret_cast<const sockaddr_in*>(address.get());
}
const sockaddr_in6& in6(const SocketAddress& address) {
  return *reinterpret_cast<const sockaddr_in6*>(address.get());
}

// The path of a unix socket, which need not end in a NUL; empty for a socket without a name.
std::string_view pathOf(const SocketAddress& address) {
  const size_t start = offsetof(sockaddr_un, sun_path);
  if (address.length() <= start) return "";
  const char* const path = reinterpret_cast<const sockaddr_un*>(address.get())->sun_path;
  return {path, strnlen(path, address.length() - start)};
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length)
    : length_(std::min<socklen_t>(length, sizeof storage_)) {
  std::memcpy(&storage_, address, length_);
}

SocketAddress SocketAddress::ofUnixPath(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return {reinterpret_cast<const sockaddr*>(&address), sizeof address};
}

std::optional<SocketAddress> SocketAddress::of(int fd) {
  sockaddr_storage found{};
  socklen_t length = sizeof found;
  auto* const address = reinterpret_cast<sockaddr*>(&found);
  if (getsockname(fd, address, &length) != 0) return std::nullopt;
  return SocketAddress(address, length);
}

int SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(in4(*this).sin_port);
  if (family() == AF_INET6) return ntohs(in6(*this).sin6_port);
  return 0;
}

std::string SocketAddress::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) inet_ntop(AF_INET, &in4(*this).sin_addr, text, sizeof text);
  if (family() == AF_INET6) inet_ntop(AF_INET6, &in6(*this).sin6_addr, text, sizeof text);
  return text;
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  if (family() != other.family()) return false;
  if (family() == AF_INET) {
    return port() == other.port() && in4(*this).sin_addr.s_addr == in4(other).sin_addr.s_addr;
  }
  if (family() == AF_INET6) {
    return port() == other.port() && IN6_ARE_ADDR_EQUAL(&in6(*this).sin6_addr, &in6(other).sin6_addr) &&
           in6(*this).sin6_scope_id == in6(other).sin6_scope_id;
  }
  return family() == AF_UNIX && pathOf(*this) == pathOf(other);
}

bool SocketAddress::covers(const SocketAddress& local) const {
  return *this == local || (isWildcard() && family() == local.family() && port() == local.port());
}

bool SocketAddress::isWildcard() const {
  if (family() == AF_INET) return in4(*this).sin_addr.s_addr == htonl(INADDR_ANY);
  return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6(*this).sin6_addr);
}

SocketAddress SocketAddress::reachable() const {
  SocketAddress target = *this;
  if (!isWildcard()) return target;
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in&>(target.storage_).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    reinterpret_cast<sockaddr_in6&>(target.storage_).sin6_addr = in6addr_loopback;
  }
  return target;
}

}  // namespace milter
