// The thread of libmilter's listener, and the signal that ends its wait in poll() where no connection can: a
// socket that was handed over has a substitute to which no connection can be made.
#pragma once

#include <pthread.h>

#include <mutex>
#include <optional>

namespace milter {

class ListenerThread {
 public:
  ListenerThread() = default;
  ListenerThread(const ListenerThread&) = delete;
  ListenerThread& operator=(const ListenerThread&) = delete;

  // Runs libmilter on this thread until it has stopped. False if it failed.
  bool run();
  // Ends the poll() that run() waits in, if it does: libmilter looks whether it is to stop, and polls again.
  // Any thread.
  void interrupt();

 private:
  std::mutex mutex_;  // held while a signal is sent, so that none goes to a thread that has ended
  std::optional<pthread_t> thread_;  // while it runs; guarded by mutex_
};

}  // namespace milter
