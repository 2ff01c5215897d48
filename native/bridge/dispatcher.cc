#include "bridge/dispatcher.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace milter {

// Lock order: Dispatcher before MessageQueue before PendingReply.

void Dispatcher::add(std::shared_ptr<MessageQueue> queue, Role role) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (released_) queue->releaseAll();
  if (stopped_) postStopped(*queue, failed_);
  members_.push_back({std::move(queue), role});
}

void Dispatcher::remove(const MessageQueue& queue) {
  std::vector<Member> removed;  // destroyed after the lock is given back
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto isOther = [&](const Member& member) { return member.queue.get() != &queue; };
  const auto others = std::stable_partition(members_.begin(), members_.end(), isOther);
  removed.assign(std::make_move_iterator(others), std::make_move_iterator(members_.end()));
  members_.erase(others, members_.end());
}

// One lock is held throughout, so that of two sessions that begin at once the second finds the first counted.
// There are few queues, and a session begins only once.
std::shared_ptr<MessageQueue> Dispatcher::bind(Session* session, MessageQueue::Clock::time_point now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Member* chosen = nullptr;
  MessageQueue::Load least;
  size_t nextTurn = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    const size_t at = (turn_ + i) % members_.size();
    const Member& member = members_[at];
    if (member.role != Role::serving) continue;
    const MessageQueue::Load load = member.queue->load(now);
    if (chosen != nullptr && !(load < least)) continue;
    chosen = &member;
    least = load;
    nextTurn = at + 1;
  }
  // A queue is removed before it closes, so it refuses a session only if all sessions have been released.
  if (chosen == nullptr || !chosen->queue->bind(session)) return nullptr;
  turn_ = nextTurn;
  return chosen->queue;
}

void Dispatcher::releaseAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (const Member& member : members_) member.queue->releaseAll();
}

void Dispatcher::notifyStopped(bool failed) {
  const std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  failed_ = failed;
  for (const Member& member : members_) postStopped(*member.queue, failed);
}

void Dispatcher::postStopped(MessageQueue& queue, bool failed) {
  (void)queue.post({MessageKind::stopped, nullptr, failed ? 1u : 0u, nullptr});
}

}  // namespace milter
