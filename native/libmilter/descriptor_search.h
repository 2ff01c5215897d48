// The sockets among this process's open descriptors. libmilter does not tell which ones it has opened.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <set>

namespace milter {

bool isListening(int fd);
std::set<int> listeningDescriptors();

// The port of an address, 0 if its family has none.
int portOf(const sockaddr_storage& address);

// Calls `visit` with each connected or connecting socket whose local port is `port`.
void forEachConnection(int port, const std::function<void(int fd)>& visit);

}  // namespace milter
