#include "bridge/message_queue.h"

#include <utility>

#include "bridge/session.h"

namespace milter {

bool MessageQueue::post(Message&& message) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    messages_.push_back(std::move(message));
    if (std::exchange(woken_, true)) return true;
  }
  // Without the lock that the JS thread takes first when it has woken up.
  std::lock_guard<std::mutex> lock(wakeMutex_);
  if (wake_) wake_();
  return true;
}

std::vector<Message> MessageQueue::take() {
  std::lock_guard<std::mutex> lock(mutex_);
  woken_ = false;
  return std::exchange(messages_, {});
}

bool MessageQueue::bind(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || released_) return false;
  sessions_.insert(session);
  return true;
}

void MessageQueue::unbind(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  sessions_.erase(session);
}

size_t MessageQueue::load() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return sessions_.size();
}

void MessageQueue::close() {
  std::vector<Message> unread;  // destroyed after the lock: a mail may hold the last reference to its session
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    unread.swap(messages_);
  }
  {
    std::lock_guard<std::mutex> lock(wakeMutex_);
    wake_ = nullptr;
  }
  releaseAll();
}

// Lock order: MessageQueue before PendingReply. unbind() runs before a session dies, so the pointers are
// alive here.
void MessageQueue::releaseAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (Session* session : sessions_) session->release();
}

}  // namespace milter
