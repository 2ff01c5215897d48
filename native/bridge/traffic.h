// Counts what a filter that stops has to wait for: callbacks that run and sessions inside a message.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace milter {

class Traffic {
 public:
  using Clock = std::chrono::steady_clock;
  // A point in time that another thread may bring forward.
  using Deadline = std::atomic<Clock::rep>;
  static constexpr Clock::rep kNever = INT64_MAX;

  // Held for the length of a callback.
  class Visit {
   public:
    explicit Visit(Traffic& traffic) : traffic_(traffic) {
      traffic_.running_.fetch_add(1);
      traffic_.moves_.fetch_add(1, std::memory_order_relaxed);
    }
    ~Visit() {
      traffic_.moves_.fetch_add(1, std::memory_order_relaxed);
      traffic_.running_.fetch_sub(1);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    Traffic& traffic_;
  };

  // A callback is about to return an answer that a stop must not cut off.
  void answered() {
    if (draining()) lastAnswer_.store(Clock::now().time_since_epoch().count());
  }
  int64_t running() const { return running_.load(); }
  // Changes whenever a callback begins or ends.
  uint64_t moves() const { return moves_.load(std::memory_order_relaxed); }

  void messageBegan() { messages_.fetch_add(1); }
  void messageEnded() { messages_.fetch_sub(1); }
  int64_t messages() const { return messages_.load(); }

  // From here on no session may begin a message.
  void drain(bool on = true) {
    lastAnswer_.store(Clock::now().time_since_epoch().count());
    draining_.store(on);
  }
  bool draining() const { return draining_.load(); }

  // Waits until nothing runs and no session is in a message. libmilter writes the reply after the callback
  // has returned and tells nobody, so the last answer must lie kReplyTime back. False where `deadline` passed
  // first.
  bool awaitQuiet(const Deadline& deadline, bool messagesToo) const;
  // Makes `deadline` earlier, never later.
  static void bringForward(Deadline& deadline, Clock::time_point to);

  // --- for native/libmilter/nudger.h, which has work only while handlers take their time

  // A callback has been parked for kSlow and nobody watches.
  void noteSlow();
  // Waits for noteSlow().
  void awaitSlow();
  bool watched() const { return watched_.load(); }
  void setWatched(bool watched) { watched_.store(watched); }
  static constexpr std::chrono::milliseconds kSlow{10};

 private:
  static constexpr std::chrono::milliseconds kReplyTime{100};

  std::atomic<int64_t> running_{0};
  std::atomic<uint64_t> moves_{0};
  std::atomic<int64_t> messages_{0};
  std::atomic<bool> draining_{false};
  std::atomic<Clock::rep> lastAnswer_{0};

  std::mutex slowMutex_;
  std::condition_variable slowChanged_;
  bool slow_ = false;  // guarded by slowMutex_
  std::atomic<bool> watched_{false};
};

}  // namespace milter
