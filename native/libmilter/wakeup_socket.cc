#include "libmilter/wakeup_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace milter {

void WakeupSocket::prepare(int family) {
  const std::lock_guard<std::mutex> lock(mutex_);
  family_ = family;
  createLocked();
}

bool WakeupSocket::connect(const SocketAddress& target) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (next_ < 0) createLocked();
  if (next_ < 0) return false;
  // EAGAIN is a full queue of connections, which ends the poll() as well.
  const bool connected =
      ::connect(next_, target.get(), target.length()) == 0 || errno == EINPROGRESS || errno == EAGAIN;
  ::close(next_);
  createLocked();  // at once, before another thread takes the descriptor
  return connected;
}

void WakeupSocket::createLocked() {
  next_ = ::socket(family_, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

}  // namespace milter
