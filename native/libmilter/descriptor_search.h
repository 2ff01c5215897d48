// The sockets among this process's open descriptors. libmilter does not tell which ones it has opened.
#pragma once

#include <functional>

#include "libmilter/socket_address.h"

namespace milter {

bool isListening(int fd);
// Whether a read would return at once, if only to say that the peer has hung up.
bool isReadable(int fd);

// Whether `fd` is a connected or connecting socket whose local end belongs to a listener at `listening`.
bool isConnection(const SocketAddress& listening, int fd);
// Calls `visit` with each of them. Another thread may close one meanwhile.
void forEachConnection(const SocketAddress& listening, const std::function<void(int fd)>& visit);

}  // namespace milter
