#include "bridge/roster.h"

#include <algorithm>
#include <utility>

namespace milter {

// Lock order: Roster before Mailbox before Exchange.

void Roster::join(std::shared_ptr<Mailbox> mailbox, Duty duty) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (released_) mailbox->releaseAll();
  if (dismissed_) tellStopped(*mailbox, failed_);
  members_.push_back({std::move(mailbox), duty});
}

void Roster::leave(const Mailbox& mailbox) {
  std::vector<Member> gone;  // destroyed after the lock
  std::lock_guard<std::mutex> lock(mutex_);
  const auto leaves = std::stable_partition(members_.begin(), members_.end(),
                                            [&](const Member& one) { return one.mailbox.get() != &mailbox; });
  gone.assign(std::make_move_iterator(leaves), std::make_move_iterator(members_.end()));
  members_.erase(leaves, members_.end());
}

// Under one lock, so that of two sessions that begin at once the second sees the first one's place. The
// mailboxes are few, and a session begins once.
std::shared_ptr<Mailbox> Roster::enrol(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Member* fewest = nullptr;
  size_t least = 0;
  size_t next = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    const size_t at = (turn_ + i) % members_.size();
    const Member& one = members_[at];
    if (one.duty != Duty::serves) continue;
    const size_t load = one.mailbox->load();
    if (fewest && load >= least) continue;
    fewest = &one;
    least = load;
    next = at + 1;
  }
  // A thread leaves before its mailbox closes, so enrol() refuses only when all sessions are released.
  if (!fewest || !fewest->mailbox->enrol(session)) return nullptr;
  turn_ = next;
  return fewest->mailbox;
}

void Roster::releaseAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (const Member& one : members_) one.mailbox->releaseAll();
}

void Roster::dismiss(bool failed) {
  std::lock_guard<std::mutex> lock(mutex_);
  dismissed_ = true;
  failed_ = failed;
  for (const Member& one : members_) tellStopped(*one.mailbox, failed);
}

void Roster::tellStopped(Mailbox& mailbox, bool failed) {
  (void)mailbox.post({Mail::Kind::stopped, nullptr, failed ? 1u : 0u, {}});
}

}  // namespace milter
