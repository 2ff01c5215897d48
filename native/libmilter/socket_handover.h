// An inherited socket at a stop: other processes have it too, systemd above all, and the next filter is to
// get the connections that wait in its queue and all that are made from then on.
//
// libmilter's listener cannot be stopped without its sessions, and would go on to accept. So the number under
// which it knows the socket is given to another one, to which nobody but ourselves connects.
#pragma once

#include <optional>

#include "libmilter/socket_address.h"

namespace milter {

// Lets accept() on the inherited socket return when another process was faster, where it would have waited
// for the next connection: every process that has the socket wakes up for each.
void neverBlockAccept(int fd);

// Replaces the listening socket `fd`. Returns where its substitute is reached; nullopt if none could be made,
// and `fd` is as before.
std::optional<SocketAddress> replaceListener(int fd);

}  // namespace milter
