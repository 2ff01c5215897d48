// The JS threads of the running filter, by their mailboxes: they join and leave while it runs, and each new
// session is bound to the one that has the fewest.
//
// Part of the House, so never freed (R7). A mailbox lives as long as its thread or one of its sessions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "bridge/mailbox.h"

namespace milter {

class Roster {
 public:
  // What a JS thread is for: sessions, or only to start the filter and to hear of its end.
  enum class Duty : uint8_t { serves, watches };

  // --- JS threads

  // From here on the mailbox gets sessions, if it serves, and `stopped` at the end: at once where that has
  // come.
  void join(std::shared_ptr<Mailbox> mailbox, Duty duty);
  // Binds no more sessions to the mailbox. Those that it has are ended by Mailbox::close().
  void leave(const Mailbox& mailbox);

  // --- libmilter's threads

  // Binds a session to the mailbox with the fewest; those with equally few take turns. Null where nobody
  // serves, or all sessions are released.
  std::shared_ptr<Mailbox> enrol(Session* session);

  // --- any thread

  // Releases every session's open question, and all later ones; mail is still taken.
  void releaseAll();
  // libmilter has returned: every mailbox that is here, or still comes, is told.
  void dismiss(bool failed);

 private:
  struct Member {
    std::shared_ptr<Mailbox> mailbox;
    Duty duty;
  };
  static void tellStopped(Mailbox& mailbox, bool failed);

  std::mutex mutex_;
  // All below are guarded by mutex_.
  std::vector<Member> members_;
  size_t turn_ = 0;  // the member that is asked first
  bool released_ = false;
  bool dismissed_ = false;
  bool failed_ = false;
};

}  // namespace milter
