#include "libmilter/descriptor_search.h"

#include <poll.h>
#include <sys/socket.h>

#include "libmilter/numbered_entries.h"

namespace milter {
namespace {

void forEachDescriptor(const std::function<void(int fd)>& visit) {
  const auto visitNumber = [&](unsigned fd) { visit(static_cast<int>(fd)); };
  if (forEachNumberedEntry("/dev/fd", visitNumber)) return;
  // The directory does not exist, or a process that has given up its privileges may not read it.
  constexpr int kCommonLimit = 4096;
  for (int fd = 0; fd < kCommonLimit; ++fd) visit(fd);
}

}  // namespace

bool isListening(int fd) {
  int listening = 0;
  socklen_t length = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

bool isReadable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1 && (one.revents & (POLLIN | POLLHUP)) != 0;
}

bool isConnection(const SocketAddress& listening, int fd) {
  const auto local = SocketAddress::of(fd);
  return local && listening.covers(*local) && !isListening(fd);
}

void forEachConnection(const SocketAddress& listening, const std::function<void(int fd)>& visit) {
  forEachDescriptor([&](int fd) {
    if (isConnection(listening, fd)) visit(fd);
  });
}

}  // namespace milter
