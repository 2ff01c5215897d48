// Stands for a JS thread: takes mail, answers each question as a judge says, and remembers what came.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/message_queue.h"
#include "bridge/session.h"

namespace milter::test {

class FakeJsThread {
 public:
  // Answers a question through message.session->pendingReply(), now or never.
  using Responder = std::function<void(Message&)>;

  explicit FakeJsThread(Responder responder) : respond_(std::move(responder)), thread_([this] { run(); }) {}
  ~FakeJsThread() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    woken_.notify_one();
    thread_.join();
  }
  FakeJsThread(const FakeJsThread&) = delete;
  FakeJsThread& operator=(const FakeJsThread&) = delete;

  const std::shared_ptr<MessageQueue>& queue() const { return queue_; }
  // The steps of each question so far, as text; other mail by its kind's number.
  std::vector<std::string> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }
  size_t count(const std::string& line) {
    size_t found = 0;
    for (const std::string& one : seen()) found += one == line;
    return found;
  }

 private:
  void run() {
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        woken_.wait(lock, [this] { return wake_ || over_; });
        if (over_ && !wake_) return;
        wake_ = false;
      }
      for (Message& message : queue_->take()) read(message);
    }
  }
  void read(Message& message) {
    std::string line;
    if (message.kind == Message::Kind::question) {
      for (const Event& event : message.batch.events()) {
        line += (line.empty() ? "" : " ") + std::string(kStepNames[static_cast<unsigned>(event.step)]);
      }
    } else {
      line = "message " + std::to_string(static_cast<int>(message.kind));
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen_.push_back(line);
    }
    if (message.kind == Message::Kind::question) respond_(message);
  }

  const Responder respond_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  bool over_ = false;
  std::vector<std::string> seen_;
  const std::shared_ptr<MessageQueue> queue_ = std::make_shared<MessageQueue>([this] {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_ = true;
    }
    woken_.notify_one();
  });
  std::thread thread_;
};

}  // namespace milter::test
