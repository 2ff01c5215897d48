// Stands for a JS thread: takes mail, answers each question as a judge says, and remembers what came.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "bridge/mailbox.h"
#include "bridge/session.h"

namespace milter::test {

class Clerk {
 public:
  // Answers a question through mail.session->exchange(), now or never.
  using Judge = std::function<void(Mail&)>;

  explicit Clerk(Judge judge) : judge_(std::move(judge)), thread_([this] { run(); }) {}
  ~Clerk() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
    }
    woken_.notify_one();
    thread_.join();
  }
  Clerk(const Clerk&) = delete;
  Clerk& operator=(const Clerk&) = delete;

  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
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
      for (Mail& mail : mailbox_->take()) read(mail);
    }
  }
  void read(Mail& mail) {
    std::string line;
    if (mail.kind == Mail::Kind::question) {
      for (const Event& event : mail.batch.events()) {
        line += (line.empty() ? "" : " ") + std::string(kStepNames[static_cast<unsigned>(event.step)]);
      }
    } else {
      line = "mail " + std::to_string(static_cast<int>(mail.kind));
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen_.push_back(line);
    }
    if (mail.kind == Mail::Kind::question) judge_(mail);
  }

  const Judge judge_;
  std::mutex mutex_;
  std::condition_variable woken_;
  bool wake_ = false;
  bool over_ = false;
  std::vector<std::string> seen_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>([this] {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      wake_ = true;
    }
    woken_.notify_one();
  });
  std::thread thread_;
};

}  // namespace milter::test
