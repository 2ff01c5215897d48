#include "libmilter/descriptor_search.h"

#include <dirent.h>
#include <netinet/in.h>

#include "libmilter/socket_spec.h"

namespace milter {
namespace {

void forEachDescriptor(const std::function<void(int fd)>& visit) {
  if (DIR* const directory = opendir("/dev/fd")) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): each call has a directory stream of its own
    while (const dirent* const entry = readdir(directory)) {
      if (const auto fd = parseNumber(entry->d_name)) visit(static_cast<int>(*fd));
    }
    closedir(directory);
    return;
  }
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

std::set<int> listeningDescriptors() {
  std::set<int> found;
  forEachDescriptor([&](int fd) {
    if (isListening(fd)) found.insert(fd);
  });
  return found;
}

int portOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

void forEachConnection(int port, const std::function<void(int fd)>& visit) {
  forEachDescriptor([&](int fd) {
    sockaddr_storage local{};
    socklen_t length = sizeof local;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &length) != 0) return;
    if (portOf(local) == port && !isListening(fd)) visit(fd);
  });
}

}  // namespace milter
