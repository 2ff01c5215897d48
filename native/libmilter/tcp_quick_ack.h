// Keeps TCP from holding back what the MTA and the filter say to each other.
//
// Sendmail writes the macros of a step, and then its command: two small segments. Nagle's algorithm holds the
// second one back until the first is acknowledged, and the kernel on this side holds the acknowledgement back
// for 40 ms, in the hope that an answer will carry it along. TCP_QUICKACK sends it and ends that hope, but
// only until the next answer. libmilter has no place where it could be asked for after the macros were read,
// and who waits for the same data in poll() or epoll hears nothing where libmilter is quicker. So a thread of
// its own asks for it on all connections, twice a millisecond, as long as callbacks come.
//
// The other way round it is the same with the modifications at the end of a message and the verdict, each of
// which libmilter writes by itself: TCP_NODELAY, once, ends that.
//
// libmilter does not show its descriptors: they are found by their local address when a session begins. A
// number that another socket has got meanwhile does no harm: that one is acknowledged early, or knows no such
// option.
//
// Linux only, as the option. Elsewhere nothing happens.
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

  // Begins, where the filter listens on TCP. Once, before libmilter serves.
  void start();

  // --- libmilter's threads; neither waits

  // A session begins: its connection is to be looked for.
  void onSession();
  // A callback has come.
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
  std::vector<int> connections_;  // the thread's own
};

}  // namespace milter
