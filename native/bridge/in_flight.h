// Counts what a filter that stops has to wait for: callbacks that run and sessions inside a message.
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

  // Held for the length of a callback.
  class CallbackScope {
   public:
    explicit CallbackScope(InFlight& inFlight) : inFlight_(inFlight) {
      inFlight_.running_.fetch_add(1);
      inFlight_.activity_.fetch_add(1, std::memory_order_relaxed);
    }
    ~CallbackScope() {
      inFlight_.activity_.fetch_add(1, std::memory_order_relaxed);
      inFlight_.running_.fetch_sub(1);
    }
    CallbackScope(const CallbackScope&) = delete;
    CallbackScope& operator=(const CallbackScope&) = delete;

   private:
    InFlight& inFlight_;
  };

  // A callback is about to return an answer that a stop must not cut off.
  void answered() {
    if (draining()) lastAnswer_.store(Clock::now().time_since_epoch().count());
  }
  int64_t running() const { return running_.load(); }
  // Changes whenever a callback begins or ends.
  uint64_t activity() const { return activity_.load(std::memory_order_relaxed); }

  void transactionBegan() { transactions_.fetch_add(1); }
  void transactionEnded() { transactions_.fetch_sub(1); }
  int64_t transactions() const { return transactions_.load(); }

  // From here on no session may begin a message.
  void drain(bool on = true) {
    lastAnswer_.store(Clock::now().time_since_epoch().count());
    draining_.store(on);
  }
  bool draining() const { return draining_.load(); }

  // Waits until nothing runs and no session is in a message. libmilter writes the reply after the callback
  // has returned and tells nobody, so the last answer must lie kReplyTime back. False where `deadline` passed
  // first.
  bool awaitQuiet(const Deadline& deadline, bool transactionsToo) const;
  // Makes `deadline` earlier, never later.
  static void bringForward(Deadline& deadline, Clock::time_point to);

  // --- for native/libmilter/pool_starvation_watchdog.h, which has work only while handlers take their time

  // A callback has been parked for kSlow and nobody watches.
  void noteSlow();
  // Waits for noteSlow().
  void awaitSlow();
  bool watchdogActive() const { return watchdogActive_.load(); }
  void setWatchdogActive(bool active) { watchdogActive_.store(active); }
  static constexpr std::chrono::milliseconds kSlow{10};

 private:
  static constexpr std::chrono::milliseconds kReplyTime{100};

  std::atomic<int64_t> running_{0};
  std::atomic<uint64_t> activity_{0};
  std::atomic<int64_t> transactions_{0};
  std::atomic<bool> draining_{false};
  std::atomic<Clock::rep> lastAnswer_{0};

  std::mutex slowMutex_;
  std::condition_variable slowChanged_;
  bool slow_ = false;  // guarded by slowMutex_
  std::atomic<bool> watchdogActive_{false};
};

}  // namespace milter
