// The address that `inet:PORT@HOST` names. It is found here and given to libmilter in digits, so that there
// is no doubt on which address libmilter listens: it does not tell.
#pragma once

#include <optional>
#include <string>

#include "libmilter/socket_address.h"
#include "libmilter/socket_spec.h"

namespace milter {

// Asks the system's resolver. nullopt if host or service are unknown.
std::optional<SocketAddress> resolve(const InetSpec& spec);

// The address in libmilter's notation.
std::string specOf(const SocketAddress& address);

// A socket that is bound to `address`, or -1 and errno. For port 0 the system chooses one.
int bindTo(const SocketAddress& address);

}  // namespace milter
