// libmilter's signal thread, kept from taking signals that are for Node.
//
// It waits for SIGHUP, SIGTERM and SIGINT by sigwait(), and stops the filter at each. The system gives a
// signal to the main thread, where Node handles it, unless that thread has just been given another one: of
// two signals at the same moment, the second can go to libmilter (complete_signal in the kernel). A SIGHUP
// would then end a filter that was to reload, and a SIGTERM would cut off what a stop drains. libmilter has
// no function for this, so the thread is sent into a signal handler that never returns.
#pragma once

#include <set>

namespace milter {

class SignalThread {
 public:
  enum class Outcome { disarmed, notFound, failed };

  // Before libmilter's threads begin: whatever waits for signals now is not libmilter's.
  void noteOthers() noexcept;
  // Keeps signals from the thread. It is found once it waits for them. Where that fails, a signal can still
  // go to it: on other systems, or if the process may not look at its own threads.
  Outcome disarm() noexcept;

 private:
  std::set<long> others_;
};

}  // namespace milter
