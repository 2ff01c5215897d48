// The listening socket, and the connections that came in on it: no other server of the process is taken for
// it, neither one that has the same port on another address, nor one that begins to listen at the same
// moment.
#include "libmilter/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <atomic>
#include <set>

#include "bridge/process.h"
#include "check.h"
#include "libmilter/descriptor_search.h"
#include "libmilter/inet_address.h"

using namespace milter;
using namespace milter::test;

namespace {

SocketAddress inet(const char* host, int port) { return *resolve({AF_INET, host, std::to_string(port)}); }
SocketAddress inet6(const char* host, int port) { return *resolve({AF_INET6, host, std::to_string(port)}); }

int listenOn(const SocketAddress& address) {
  const int fd = bindTo(address);
  CHECK(fd >= 0 && ::listen(fd, 16) == 0);
  return fd;
}

int connectTo(const SocketAddress& address) {
  const int fd = ::socket(address.family(), SOCK_STREAM, 0);
  CHECK(::connect(fd, address.get(), address.length()) == 0);
  return fd;
}

// The process's listening socket at an address.
int listenerAt(const SocketAddress& address) {
  constexpr int kMost = 256;
  for (int fd = 0; fd < kMost; ++fd) {
    const auto local = SocketAddress::of(fd);
    if (local && *local == address && isListening(fd)) return fd;
  }
  return -1;
}

std::set<int> connectionsOf(const SocketAddress& address) {
  std::set<int> found;
  forEachConnection(address, [&](int fd) { found.insert(fd); });
  return found;
}

void comparesWholeAddresses() {
  CHECK(inet("127.0.0.1", 25) == inet("127.0.0.1", 25));
  CHECK(!(inet("127.0.0.1", 25) == inet("127.0.0.2", 25)));
  CHECK(!(inet("127.0.0.1", 25) == inet("127.0.0.1", 26)));
  CHECK(!(inet("127.0.0.1", 25) == inet6("::1", 25)));
  CHECK(!(inet6("::1", 25) == inet6("::2", 25)));
  CHECK(inet("0.0.0.0", 25).covers(inet("127.0.0.2", 25)));
  CHECK(!inet("0.0.0.0", 25).covers(inet("127.0.0.2", 26)));
  CHECK(!inet("0.0.0.0", 25).covers(inet6("::1", 25)));
  CHECK(inet6("::", 25).covers(inet6("::1", 25)));
  CHECK(!inet("127.0.0.1", 25).covers(inet("0.0.0.0", 25)));
  CHECK(SocketAddress::ofUnixPath("/a") == SocketAddress::ofUnixPath("/a"));
  CHECK(!(SocketAddress::ofUnixPath("/a") == SocketAddress::ofUnixPath("/b")));
  CHECK(!SocketAddress::of(-1));
}

void namesAnAddressAsLibmilterDoes() {
  CHECK(specOf(inet("127.0.0.1", 25)) == "inet:25@[127.0.0.1]");
  CHECK(specOf(inet("", 25)) == "inet:25");
  CHECK(specOf(inet6("::1", 25)) == "inet6:25@[::1]");
  CHECK(specOf(inet6("", 25)) == "inet6:25");
}

void findsItsOwnConnectionsOnly() {
  // Other threads listen meanwhile.
  std::atomic<bool> over{false};
  std::thread other([&over] {
    while (!over) ::close(listenOn(inet("127.0.0.1", 0)));
  });
  CHECK(Process::get().registerFilter("test", 0));
  Listener listener;
  CHECK(!listener.open("inet:0@127.0.0.1", {}));
  over = true;
  other.join();
  const int port = listener.port();
  CHECK(port > 0);

  // A server of the process with the same port on another address, and a client of the filter.
  const int server = listenOn(inet("127.0.0.2", port));
  const int clientOfServer = connectTo(inet("127.0.0.2", port));
  const int accepted = ::accept(server, nullptr, nullptr);
  CHECK(accepted >= 0);
  const int client = connectTo(inet("127.0.0.1", port));
  CHECK(connectionsOf(inet("127.0.0.2", port)) == std::set<int>{accepted});
  // libmilter accepts nothing yet, so none of the process's connections is the filter's.
  std::set<int> found;
  listener.forEachConnection([&](int fd) { found.insert(fd); });
  CHECK(found.empty());

  // The filter's client is hung up on when the filter ends, the others are not.
  const int ours = ::accept(listenerAt(inet("127.0.0.1", port)), nullptr, nullptr);
  CHECK(ours >= 0);
  listener.hangUp();
  char byte = 'x';
  CHECK(::recv(client, &byte, 1, 0) == 0);
  CHECK(::send(accepted, &byte, 1, 0) == 1 && ::recv(clientOfServer, &byte, 1, 0) == 1);
  ::close(ours);
  for (const int fd : {client, accepted, clientOfServer, server}) ::close(fd);
}

}  // namespace

int main() {
  comparesWholeAddresses();
  namesAnAddressAsLibmilterDoes();
  findsItsOwnConnectionsOnly();
  std::_Exit(0);
}
