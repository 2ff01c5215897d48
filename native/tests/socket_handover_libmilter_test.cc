// An inherited socket is handed over: what waits in its queue goes to the processes that still have it.
#include "libmilter/socket_handover.h"

#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "bridge/process.h"
#include "check.h"
#include "libmilter/descriptor_search.h"
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

void checkReplaced(int socket) {
  const auto address = *SocketAddress::of(socket);
  const int kept = ::dup(socket);  // as the service manager has it
  const int waiting = connectTo(address);
  CHECK(isReadable(socket));

  CHECK(replaceListener(socket));
  CHECK(!isReadable(socket));
  CHECK(::accept(socket, nullptr, nullptr) < 0 && errno == ENOTSOCK);
  CHECK((::fcntl(socket, F_GETFD) & FD_CLOEXEC) != 0);
  const int later = connectTo(address);
  CHECK(!isReadable(socket));
  for (int i = 0; i < 2; ++i) {
    CHECK(isReadable(kept));
    ::close(::accept(kept, nullptr, nullptr));
  }
  CHECK(!isReadable(kept));
  for (const int fd : {later, waiting, kept, socket}) ::close(fd);
}

// libmilter's own listener is in poll() when it is handed over, goes on, and can be stopped.
void listenerHandsOver() {
  const int socket = listenOn(inet("127.0.0.1"));
  const auto address = *SocketAddress::of(socket);
  const int kept = ::dup(socket);
  CHECK(Process::get().registerFilter("test", 0));
  auto& listener = *new Listener;  // R7
  CHECK(!listener.open("fd:" + std::to_string(socket), {}));
  CHECK(!listener.hasConnections());
  CHECK((::fcntl(socket, F_GETFL) & O_NONBLOCK) != 0);

  static std::atomic<bool> ended{false};
  static std::atomic<bool> stopped{false};
  std::thread([&listener] {
    listener.run();
    ended = true;
  }).detach();
  const int client = connectTo(address);
  waitUntil("libmilter's accept()", [&] { return listener.hasConnections(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time to wait in poll() again
  CHECK(listener.handOver());
  const int next = connectTo(address);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // Nothing but that client waits for the next filter: what wakes libmilter is no connection.
  CHECK(isReadable(kept));
  ::close(::accept(kept, nullptr, nullptr));
  CHECK(!isReadable(kept));
  CHECK(!ended);
  ::close(client);
  waitUntil("the end of the connection", [&] { return !listener.hasConnections(); });

  // smfi_stop() waits for the mutex that the listener holds in poll(): for 5 s, unless that is interrupted.
  const auto begin = std::chrono::steady_clock::now();
  std::thread([] {
    smfi_stop();
    stopped = true;
  }).detach();
  waitUntil("the stop", [&] {
    listener.wakeListener();
    return stopped.load();
  });
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(4));
  for (const int fd : {next, kept}) ::close(fd);
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
