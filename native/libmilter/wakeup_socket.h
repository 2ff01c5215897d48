// Connects to the filter's own address and hangs up, which ends the wait of libmilter's listener in poll().
//
// The socket for the next connection is created in advance, so that a stop does not take until that poll's
// time-out if the process has no descriptor left.
#pragma once

#include <mutex>

#include "libmilter/socket_address.h"

namespace milter {

class WakeupSocket {
 public:
  WakeupSocket() = default;
  WakeupSocket(const WakeupSocket&) = delete;
  WakeupSocket& operator=(const WakeupSocket&) = delete;

  // Creates the first socket, for addresses of `family`. Called once, before any connect().
  void prepare(int family);
  // Whether a connection to `target` was made, or has begun. Never waits. Any thread.
  bool connect(const SocketAddress& target);

 private:
  void createLocked();

  std::mutex mutex_;
  // All below are guarded by mutex_.
  int family_ = 0;
  int next_ = -1;  // the socket for the next connection; -1 if there was no descriptor for it
};

}  // namespace milter
