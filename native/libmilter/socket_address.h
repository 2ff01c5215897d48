// The address of a socket, compared as a whole: two servers of a process may have the same port.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>

namespace milter {

class SocketAddress {
 public:
  SocketAddress(const sockaddr* address, socklen_t length);
  static SocketAddress ofUnixPath(const std::string& path);
  // The address that a socket is bound to; nullopt if `fd` is no socket.
  static std::optional<SocketAddress> of(int fd);

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  // The port, 0 if the family has none.
  int port() const;
  // An IPv4 or IPv6 address in digits, empty for other families.
  std::string host() const;

  // The same family and path, or address, scope and port.
  bool operator==(const SocketAddress& other) const;
  // Whether a socket that listens here gets connections to `local`: it is the same address, or this is the
  // wildcard address with the same port.
  bool covers(const SocketAddress& local) const;
  // Whether this is the wildcard address, which stands for all addresses of its family.
  bool isWildcard() const;
  // Where a socket that listens here can be reached from this machine: the loopback address in place of the
  // wildcard address, to which not every system connects.
  SocketAddress reachable() const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_;
};

}  // namespace milter
