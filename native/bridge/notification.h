// What a service manager is told: sd_notify(3) of systemd, without its library.
#pragma once

#include <string>

namespace milter {

// Sends `text` as one datagram to the unix socket `address`: a path, or `@` and a name of Linux's abstract
// namespace. Returns 0 or the error's number, EAGAIN if the receiver is behind: it never blocks, because the
// caller is a JS thread.
int sendNotification(const std::string& address, const std::string& text);

}  // namespace milter
