// The one way from libmilter's threads to a JS thread: a queue, and a wake-up when it stops being empty.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "bridge/batch.h"

namespace milter {

class Session;

struct Message {
  enum class Kind : uint8_t {
    question,     // run the handlers and answer; the session's thread is parked
    closed,       // the session has ended
    expired,      // the open question was answered by the exception policy: its handlers took too long
    released,     // the open question was answered because the filter stops
    writeFailed,  // a modification could not be written; the message was refused for now
    stopped,      // libmilter has returned (no session); question is 1 where it failed
    ready,        // libmilter serves (no session)
  };
  Kind kind;
  std::shared_ptr<Session> session;
  uint32_t question = 0;
  Batch batch;
};

class MessageQueue {
 public:
  // `wake` is called from any thread, never after close(), and must only signal (never wait for JS).
  explicit MessageQueue(std::function<void()> wake) : wake_(std::move(wake)) {}

  // --- libmilter's threads

  // False, and the mail is gone, once the mailbox is closed.
  bool post(Message&& message);
  // Binds a session to this mailbox's JS thread; false once the mailbox is closed, or its sessions are
  // released.
  bool bind(Session* session);
  void unbind(Session* session);
  size_t load() const;

  // --- the JS thread

  // Takes all that has come, in order.
  std::vector<Message> take();
  // Releases every session's open question and takes no more mail (R5: the JS environment ends).
  void close();

  // --- any thread

  // Releases every session's open question, and all later ones; mail is still taken.
  void releaseAll();

 private:
  mutable std::mutex mutex_;
  // All below are guarded by mutex_.
  bool closed_ = false;
  bool released_ = false;
  bool woken_ = false;
  std::vector<Message> messages_;
  std::unordered_set<Session*> sessions_;

  std::mutex wakeMutex_;        // a leaf but for what `wake` locks; never together with mutex_
  std::function<void()> wake_;  // guarded by wakeMutex_
};

}  // namespace milter
