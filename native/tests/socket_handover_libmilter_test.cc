// An inherited socket is handed over: what waits in its queue goes to the processes that still have it.
#include "libmilter/socket_handover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "bridge/process.h"
#include "check.h"
#include "libmilter/inet_address.h"
#include "libmilter/listener.h"

using namespace milter;
using namespace milter::test;

namespace {

SocketAddress inet(const char* host) { return *resolve({AF_INET, host, "0"}); }

int listenOn(const SocketAddress& address) {
  const int fd = ::socket(address.family(), SOCK_STREAM, 0);
  CHECK(fd >= 0 && ::bind(fd, address.get(), address.length()) == 0 && ::listen(fd, 16) == 0);
  return fd;
}

int connectTo(const SocketAddress& address) {
  const int fd = ::socket(address.family(), SOCK_STREAM, 0);
  CHECK(::connect(fd, address.get(), address.length()) == 0);
  return fd;
}

bool isReadable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & POLLIN) != 0;
}

void checkReplaced(int socket) {
  const auto address = *SocketAddress::of(socket);
  const int kept = ::dup(socket);  // as the service manager has it
  const int waiting = connectTo(address);
  CHECK(isReadable(socket));

  const auto substitute = replaceListener(socket);
  CHECK(substitute && substitute->family() == address.family());
  CHECK(!isReadable(socket));
  CHECK(::accept(socket, nullptr, nullptr) < 0 && errno == EAGAIN);
  CHECK((::fcntl(socket, F_GETFD) & FD_CLOEXEC) != 0);
  const int later = connectTo(address);
  for (int i = 0; i < 2; ++i) {
    CHECK(isReadable(kept));
    ::close(::accept(kept, nullptr, nullptr));
  }

  // And it can still be woken.
  const int wakeup = connectTo(*substitute);
  CHECK(isReadable(socket));
  for (const int fd : {wakeup, later, waiting, kept, socket}) ::close(fd);
}

void listenerHandsOver() {
  const int socket = listenOn(inet("127.0.0.1"));
  const auto address = *SocketAddress::of(socket);
  const int kept = ::dup(socket);
  CHECK(Process::get().registerFilter("test", 0));
  Listener listener;
  CHECK(!listener.open("fd:" + std::to_string(socket), {}));
  CHECK(!listener.hasConnections());
  CHECK((::fcntl(socket, F_GETFL) & O_NONBLOCK) != 0);

  const int client = connectTo(address);
  const int accepted = ::accept(socket, nullptr, nullptr);
  // libmilter's listener, which waits meanwhile.
  bool woken = false;
  std::thread poller([&] {
    pollfd poll{socket, POLLIN, 0};
    woken = ::poll(&poll, 1, 5'000) == 1;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(listener.handOver());
  poller.join();
  CHECK(woken);
  CHECK(listener.hasConnections());
  ::close(::accept(socket, nullptr, nullptr));
  CHECK(!isReadable(socket));
  listener.wakeListener();
  CHECK(isReadable(socket));
  ::close(accepted);
  CHECK(!listener.hasConnections());
  for (const int fd : {client, kept}) ::close(fd);
}

void ownSocketStays() {
  Listener listener;
  CHECK(!listener.handOver());
}

}  // namespace

int main() {
  checkReplaced(listenOn(inet("127.0.0.1")));
  const std::filesystem::path directory = std::filesystem::temp_directory_path() / "tsmilter-handover-XXXXXX";
  std::string name = directory.string();
  CHECK(::mkdtemp(name.data()) != nullptr);
  checkReplaced(listenOn(SocketAddress::ofUnixPath(name + "/sock")));
  std::filesystem::remove_all(name);
  ownSocketStays();
  listenerHandsOver();
  std::_Exit(0);
}
