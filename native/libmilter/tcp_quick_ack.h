// Keeps TCP from delaying what the MTA and the filter say to each other.
//
// Sendmail writes the macros of a step and then its command: two small segments. Nagle's algorithm holds the
// second one back until the first is acknowledged, and the kernel on this side delays the acknowledgement for
// 40 ms, in the hope that an answer will carry it. TCP_QUICKACK sends it at once, but only until the next
// answer. libmilter offers no point between reading the macros and the command at which it could be set
// again, and waiting for the same data in poll() or epoll misses it whenever libmilter is quicker. So a
// thread of its own sets it on all connections, twice a millisecond, as long as callbacks come.
//
// The other direction has the same problem with the modifications at the end of a message and the verdict,
// each of which libmilter writes by itself. TCP_NODELAY, set once, solves it.
//
// libmilter does not show its descriptors, so they are found by their local address, port and all, when a
// session begins. If a descriptor's number belongs to another socket by now, that does no harm: the other one
// is acknowledged early, or does not know the option.
//
// The option exists on Linux only. Elsewhere nothing happens.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "bridge/in_flight.h"
#include "libmilter/listener.h"

namespace milter {

class TcpQuickAck {
 public:
  TcpQuickAck(const InFlight& inFlight, const Listener& listener)
      : inFlight_(inFlight), listener_(listener) {}
  TcpQuickAck(const TcpQuickAck&) = delete;
  TcpQuickAck& operator=(const TcpQuickAck&) = delete;

  // Starts the thread if the filter listens on TCP. Called once, before libmilter serves.
  void start();

  // --- libmilter's threads; neither function waits

  // A session begins: its connection has to be found.
  void onSession();
  // A callback has begun.
  void onCallback() {
    if (asleep_.load()) wake();
  }

 private:
  [[noreturn]] void run();
  void sleep();
  void wake();
  void acknowledge();

  const InFlight& inFlight_;
  const Listener& listener_;
  std::atomic<bool> newConnections_{false};
  std::atomic<bool> asleep_{false};  // written with mutex_ held
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> connections_;  // used by the thread only
};

}  // namespace milter
