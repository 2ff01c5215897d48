// The JS threads of the running filter, by their mailboxes: they join and leave while it runs, and each new
// session is bound to the one that has the fewest.
//
// Part of the SharedState, so never freed (R7). A mailbox lives as long as its thread or one of its sessions.
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
  // What a JS thread is for: sessions, or only to start the filter and to hear of its end.
  enum class Role : uint8_t { serving, observing };

  // --- JS threads

  // From here on the mailbox gets sessions, if it serves, and `stopped` at the end: at once where that has
  // come.
  void add(std::shared_ptr<MessageQueue> queue, Role role);
  // Binds no more sessions to the queue. Those that it has are ended by MessageQueue::close().
  void remove(const MessageQueue& queue);

  // --- libmilter's threads

  // Binds a session to the mailbox with the fewest; those with equally few take turns. Null where nobody
  // serves, or all sessions are released.
  std::shared_ptr<MessageQueue> bind(Session* session);

  // --- any thread

  // Releases every session's open question, and all later ones; mail is still taken.
  void releaseAll();
  // libmilter has returned: every mailbox that is here, or still comes, is told.
  void notifyStopped(bool failed);

 private:
  struct Member {
    std::shared_ptr<MessageQueue> queue;
    Role role;
  };
  static void tellStopped(MessageQueue& queue, bool failed);

  std::mutex mutex_;
  // All below are guarded by mutex_.
  std::vector<Member> members_;
  size_t turn_ = 0;  // the member that is asked first
  bool released_ = false;
  bool stopped_ = false;
  bool failed_ = false;
};

}  // namespace milter
