#include "bridge/dispatcher.h"

#include <algorithm>
#include <utility>

namespace milter {

// Lock order: Dispatcher before MessageQueue before PendingReply.

void Dispatcher::add(std::shared_ptr<MessageQueue> queue, Role role) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (released_) queue->releaseAll();
  if (stopped_) tellStopped(*queue, failed_);
  members_.push_back({std::move(queue), role});
}

void Dispatcher::remove(const MessageQueue& queue) {
  std::vector<Member> gone;  // destroyed after the lock
  std::lock_guard<std::mutex> lock(mutex_);
  const auto leaves = std::stable_partition(members_.begin(), members_.end(),
                                            [&](const Member& one) { return one.queue.get() != &queue; });
  gone.assign(std::make_move_iterator(leaves), std::make_move_iterator(members_.end()));
  members_.erase(leaves, members_.end());
}

// Under one lock, so that of two sessions that begin at once the second sees the first one's place. The
// mailboxes are few, and a session begins once.
std::shared_ptr<MessageQueue> Dispatcher::bind(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Member* fewest = nullptr;
  size_t least = 0;
  size_t next = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    const size_t at = (turn_ + i) % members_.size();
    const Member& one = members_[at];
    if (one.role != Role::serving) continue;
    const size_t load = one.queue->load();
    if (fewest && load >= least) continue;
    fewest = &one;
    least = load;
    next = at + 1;
  }
  // A thread leaves before its mailbox closes, so bind() refuses only when all sessions are released.
  if (!fewest || !fewest->queue->bind(session)) return nullptr;
  turn_ = next;
  return fewest->queue;
}

void Dispatcher::releaseAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (const Member& one : members_) one.queue->releaseAll();
}

void Dispatcher::notifyStopped(bool failed) {
  std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  failed_ = failed;
  for (const Member& one : members_) tellStopped(*one.queue, failed);
}

void Dispatcher::tellStopped(MessageQueue& queue, bool failed) {
  (void)queue.post({Message::Kind::stopped, nullptr, failed ? 1u : 0u, {}});
}

}  // namespace milter
