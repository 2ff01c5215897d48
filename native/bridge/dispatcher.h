// Distributes the sessions of the running filter over its JS threads, which may come and go while it runs.
//
// Part of the SharedState, so never freed (R7). A queue lives as long as its thread or one of its sessions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "bridge/message_queue.h"

namespace milter {

class Dispatcher {
 public:
  // Whether a JS thread handles sessions, or only starts the filter and waits for its end.
  enum class Role : uint8_t { serving, observing };

  // --- JS threads

  // From here on the queue gets sessions, if it serves, and the message `stopped` at the end; at once if the
  // filter has ended already.
  void add(std::shared_ptr<MessageQueue> queue, Role role);
  // Binds no more sessions to the queue. MessageQueue::close() releases those that it has.
  void remove(const MessageQueue& queue);

  // --- libmilter's threads

  // Binds a session to the serving queue that has the fewest; queues with equally few take turns. One whose
  // JS thread is stuck gets none as long as another one is not. Null if no thread serves, or if all sessions
  // have been released.
  std::shared_ptr<MessageQueue> bind(Session* session,
                                     MessageQueue::Clock::time_point now = MessageQueue::Clock::now());

  // --- any thread

  // Releases the open question of every session, and all later ones. Messages are still taken.
  void releaseAll();
  // libmilter has ended: every queue gets `stopped`, also those that are added later.
  void notifyStopped(bool failed);

 private:
  struct Member {
    std::shared_ptr<MessageQueue> queue;
    Role role;
  };
  static void postStopped(MessageQueue& queue, bool failed);

  std::mutex mutex_;
  // All below are guarded by mutex_.
  std::vector<Member> members_;
  size_t turn_ = 0;  // the member that is considered first
  bool released_ = false;
  bool stopped_ = false;
  bool failed_ = false;
};

}  // namespace milter
