#include "bridge/message_queue.h"

#include "bridge/session.h"

namespace milter {

bool MessageQueue::post(Message&& message) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    messages_.push_back(std::move(message));
    if (std::exchange(woken_, true)) return true;
    wokenAt_ = Clock::now();
  }
  // Not under mutex_, which the JS thread takes first when it has woken up.
  const std::lock_guard<std::mutex> lock(wakeMutex_);
  if (wake_) wake_();
  return true;
}

std::vector<Message> MessageQueue::take(std::vector<Message> delivered) {
  delivered.clear();
  const std::lock_guard<std::mutex> lock(mutex_);
  woken_ = false;
  return std::exchange(messages_, std::move(delivered));
}

bool MessageQueue::bind(Session* session) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || released_) return false;
  sessions_.insert(session);
  return true;
}

void MessageQueue::unbind(Session* session) {
  const std::lock_guard<std::mutex> lock(mutex_);
  sessions_.erase(session);
}

MessageQueue::Load MessageQueue::load(Clock::time_point now) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return {woken_ && now - wokenAt_ >= kStuck, sessions_.size()};
}

void MessageQueue::close() {
  // Destroyed after the lock is given back: a message may hold the last reference to its session, whose
  // destructor unbinds it.
  std::vector<Message> unread;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    unread.swap(messages_);
  }
  {
    const std::lock_guard<std::mutex> lock(wakeMutex_);
    wake_ = nullptr;
  }
  releaseAll();
}

// Lock order: MessageQueue before PendingReply. unbind() runs before a session dies, so the pointers are
// valid.
void MessageQueue::releaseAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (Session* const session : sessions_) session->release();
}

}  // namespace milter
