// The only way from libmilter's threads to a JS thread: a queue that wakes the thread when it becomes
// non-empty.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "bridge/batch.h"
#include "bridge/protocol.h"

namespace milter {

class Session;

struct Message {
  MessageKind kind;
  std::shared_ptr<Session> session;  // null if the message is about the filter
  uint32_t question = 0;
  std::shared_ptr<Batch> batch;  // null if no handler is to run
};

class MessageQueue {
 public:
  using Clock = std::chrono::steady_clock;

  // What a session that begins here has to expect.
  struct Load {
    bool stuck = false;  // the JS thread has taken nothing for kStuck, although something waits
    size_t sessions = 0;
    bool operator<(const Load& other) const {
      return std::tie(stuck, sessions) < std::tie(other.stuck, other.sessions);
    }
  };
  // Also on a busy machine, a thread that only waits for its turn is back by then.
  static constexpr std::chrono::seconds kStuck{5};

  // `wake` is called from any thread, one call at a time and none after close(). It must only signal, and
  // never wait for the JS thread.
  explicit MessageQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // --- libmilter's threads

  // False once the queue is closed; the message is dropped.
  bool post(Message&& message);
  // Binds a session to this queue's JS thread. False once the queue is closed or its sessions are released.
  bool bind(Session* session);
  void unbind(Session* session);
  Load load(Clock::time_point now) const;

  // --- the JS thread

  // Takes all waiting messages, in order. The next ones are collected in the memory of `delivered`, which are
  // dropped.
  std::vector<Message> take(std::vector<Message> delivered = {});
  // The environment ends: releases every session's open question and takes no more messages (R5).
  void close();

  // --- any thread

  // Releases every session's open question, and all later ones. Messages are still taken.
  void releaseAll();

 private:
  mutable std::mutex mutex_;
  // All below are guarded by mutex_.
  bool closed_ = false;
  bool released_ = false;
  bool woken_ = false;  // wake_ has been called for the waiting messages
  Clock::time_point wokenAt_;
  std::vector<Message> messages_;
  std::unordered_set<Session*> sessions_;

  std::mutex wakeMutex_;        // held while `wake` runs, never together with mutex_
  std::function<void()> wake_;  // guarded by wakeMutex_
};

}  // namespace milter
