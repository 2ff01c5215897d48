// Counts what a stop has to wait for: running callbacks and sessions in a mail transaction.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace milter {

class InFlight {
 public:
  using Clock = std::chrono::steady_clock;
  // A point in time that another thread may bring forward.
  using Deadline = std::atomic<Clock::rep>;
  static constexpr Clock::rep kNever = INT64_MAX;

  // Counts a callback while it runs.
  class CallbackScope {
   public:
    explicit CallbackScope(InFlight& inFlight) : inFlight_(inFlight) { inFlight_.running_ += kChange + 1; }
    ~CallbackScope() { inFlight_.running_ += kChange - 1; }
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

   private:
    InFlight& inFlight_;
  };

  int64_t callbacks() const { return static_cast<int64_t>(running_ % kChange); }
  // Changes whenever a callback begins or ends.
  uint64_t activity() const { return running_ / kChange; }
  // A callback is about to return an answer that a stop must not cut off.
  void noteAnswer() {
    if (draining()) lastAnswer_.store(Clock::now().time_since_epoch().count());
  }

  void transactionBegan() { transactions_.fetch_add(1); }
  void transactionEnded() { transactions_.fetch_sub(1); }
  int64_t transactions() const { return transactions_.load(); }

  // From here on no session may begin a mail transaction.
  void drain() {
    lastAnswer_.store(Clock::now().time_since_epoch().count());
    draining_.store(true);
  }
  bool draining() const { return draining_.load(); }

  // Waits until no callback runs and, with `transactionsToo`, no session is in a mail transaction. libmilter
  // writes a reply after the callback has returned, and does not report that, so the last answer must be
  // kReplyTime old as well. False if `deadline` passes first.
  bool awaitIdle(const Deadline& deadline, bool transactionsToo) const;
  // Makes `deadline` earlier, never later.
  static void bringForward(Deadline& deadline, Clock::time_point to);

  // --- for the PoolStarvationWatchdog, which sleeps as long as handlers answer quickly

  // A callback has been parked for kSlow while the watchdog sleeps.
  void noteSlow();
  // Sleeps until noteSlow(), for `most` at the longest. True if there was one.
  bool awaitSlow(std::chrono::milliseconds most);
  bool watchdogActive() const { return watchdogActive_.load(); }
  void setWatchdogActive(bool active) { watchdogActive_.store(active); }
  static constexpr std::chrono::milliseconds kSlow{10};

 private:
  static constexpr std::chrono::milliseconds kReplyTime{100};

  // How many callbacks run, and above that how many have begun or ended, in one number: all of libmilter's
  // threads write it in each callback, and each write fetches it from another core.
  std::atomic<uint64_t> running_{0};
  static constexpr uint64_t kChange = uint64_t{1} << 32;
  std::atomic<int64_t> transactions_{0};
  std::atomic<bool> draining_{false};
  std::atomic<Clock::rep> lastAnswer_{0};

  std::mutex slowMutex_;
  std::condition_variable slowChanged_;
  bool slow_ = false;  // guarded by slowMutex_
  std::atomic<bool> watchdogActive_{false};
};

}  // namespace milter
