// The queue to a JS thread: its order, its wake-ups, and its end while other threads post.
#include "bridge/message_queue.h"

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"

using namespace milter;
using namespace milter::test;

namespace {

Message note(uint32_t number) { return {MessageKind::stopped, nullptr, number, {}}; }

void keepsOrderAndWakesOnce() {
  int wakes = 0;
  MessageQueue queue([&] { ++wakes; });
  for (uint32_t i = 0; i < 3; ++i) CHECK(queue.post(note(i)));
  CHECK(wakes == 1);  // until the messages are taken
  const std::vector<Message> taken = queue.take();
  CHECK(taken.size() == 3 && taken[0].question == 0 && taken[2].question == 2);
  CHECK(queue.post(note(3)));
  CHECK(wakes == 2);
}

void takesNothingWhenClosed() {
  int wakes = 0;
  MessageQueue queue([&] { ++wakes; });
  CHECK(queue.post(note(0)));
  queue.close();
  CHECK(queue.take().empty());
  CHECK(!queue.post(note(1)));
  CHECK(wakes == 1);
}

void releasesItsSessions() {
  SharedState shared;
  const auto queue = std::make_shared<MessageQueue>([] {});
  shared.dispatcher.add(queue, Dispatcher::Role::serving);
  std::vector<std::shared_ptr<Session>> sessions;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(std::make_shared<Session>(shared, std::make_unique<FakeMta>()));
    threads.emplace_back(
        [session = sessions.back()] { CHECK(session->handle(Step::helo) == Verdict::tempfail); });
  }
  waitUntil("four questions", [&] { return shared.inFlight.callbacks() == 4; });
  queue->close();
  for (std::thread& thread : threads) thread.join();
  const auto late = std::make_shared<Session>(shared, std::make_unique<FakeMta>());
  CHECK(late->handle(Step::helo) == Verdict::tempfail);  // at once, because no thread can answer
}

// The JS thread ends while sessions begin, ask and end on other threads. None waits forever, and none is used
// after its end.
void isClosedInTheMiddle() {
  for (int round = 0; round < 30; ++round) {
    SharedState shared;
    const auto queue = std::make_shared<MessageQueue>([] {});
    shared.dispatcher.add(queue, Dispatcher::Role::serving);
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (!over) {
          const auto session = std::make_shared<Session>(shared, std::make_unique<FakeMta>());
          session->handle(Step::helo);
          session->close();
        }
      });
    }
    std::thread reader([&] {
      for (int i = 0; i < 100 && !over; ++i) {
        for (Message& message : queue->take()) {
          if (message.kind == MessageKind::question)
            message.session->pendingReply().answer(message.question, answerOf(Verdict::cont));
        }
      }
      queue->close();
      over = true;
    });
    reader.join();
    for (std::thread& thread : threads) thread.join();
    CHECK(queue->load(MessageQueue::Clock::now()).sessions == 0);
  }
}

}  // namespace

int main() {
  keepsOrderAndWakesOnce();
  takesNothingWhenClosed();
  releasesItsSessions();
  isClosedInTheMiddle();
}
