#include "bridge/mailbox.h"

#include <utility>

#include "bridge/session.h"

namespace milter {

bool Mailbox::post(Mail&& mail) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) return false;
    mail_.push_back(std::move(mail));
    if (std::exchange(woken_, true)) return true;
  }
  // Without the lock that the JS thread takes first when it has woken up.
  std::lock_guard<std::mutex> lock(wakeMutex_);
  if (wake_) wake_();
  return true;
}

std::vector<Mail> Mailbox::take() {
  std::lock_guard<std::mutex> lock(mutex_);
  woken_ = false;
  return std::exchange(mail_, {});
}

bool Mailbox::enrol(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_ || released_) return false;
  sessions_.insert(session);
  return true;
}

void Mailbox::discharge(Session* session) {
  std::lock_guard<std::mutex> lock(mutex_);
  sessions_.erase(session);
}

size_t Mailbox::load() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return sessions_.size();
}

void Mailbox::close() {
  std::vector<Mail> unread;  // destroyed after the lock: a mail may hold the last reference to its session
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    unread.swap(mail_);
  }
  {
    std::lock_guard<std::mutex> lock(wakeMutex_);
    wake_ = nullptr;
  }
  releaseAll();
}

// Lock order: Mailbox before Exchange. discharge() runs before a session dies, so the pointers are alive
// here.
void Mailbox::releaseAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  released_ = true;
  for (Session* session : sessions_) session->release();
}

}  // namespace milter
