#include "bridge/notification.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace milter {
namespace {

#if defined(MSG_NOSIGNAL)
constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
constexpr int kFlags = MSG_DONTWAIT;
#endif

int openSocket() {
#if defined(SOCK_CLOEXEC)
  return ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
#else
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

}  // namespace

int sendNotification(const std::string& address, const std::string& text) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (address.empty() || address.size() >= sizeof to.sun_path) return ENAMETOOLONG;
  std::memcpy(to.sun_path, address.data(), address.size());
  size_t length = offsetof(sockaddr_un, sun_path) + address.size();
  if (address.front() == '@') {
    to.sun_path[0] = '\0';
  } else {
    ++length;  // the NUL that ends a path
  }
  // Opened once and never closed: a process without free descriptors still has to feed its watchdog. It
  // is not connected, because the service manager may have bound another socket to the address meanwhile.
  static const int fd = openSocket();
  if (fd < 0) return EMFILE;
  const ssize_t sent = ::sendto(fd, text.data(), text.size(), kFlags, reinterpret_cast<const sockaddr*>(&to),
                                static_cast<socklen_t>(length));
  return sent < 0 ? errno : 0;
}

}  // namespace milter
