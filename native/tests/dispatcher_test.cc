// The queues of many JS threads: which one gets a session, and what happens to the sessions of one that ends.
#include "bridge/dispatcher.h"

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"
#include "fake_js_thread.h"

using namespace milter;
using namespace milter::test;

namespace {

using Role = Dispatcher::Role;

std::shared_ptr<MessageQueue> queue() {
  return std::make_shared<MessageQueue>([] {});
}
std::shared_ptr<Session> begin(SharedState& shared) {
  return std::make_shared<Session>(shared, std::make_unique<FakeMta>());
}

size_t sessionsOf(const std::shared_ptr<MessageQueue>& queue) {
  return queue->load(MessageQueue::Clock::now()).sessions;
}

void bindsToTheLeastLoaded() {
  SharedState shared;
  const auto watcher = queue();
  const std::shared_ptr<MessageQueue> boxes[] = {queue(), queue(), queue()};
  shared.dispatcher.add(watcher, Role::observing);
  for (const auto& box : boxes) shared.dispatcher.add(box, Role::serving);
  std::vector<std::shared_ptr<Session>> sessions;
  sessions.reserve(7);
  for (int i = 0; i < 6; ++i) sessions.push_back(begin(shared));
  for (const auto& box : boxes) CHECK(sessionsOf(box) == 2);
  CHECK(sessionsOf(watcher) == 0);
  sessions.erase(sessions.begin() + 1);  // bound to the second queue, because equally loaded ones take turns
  CHECK(sessionsOf(boxes[1]) == 1);
  sessions.push_back(begin(shared));
  CHECK(sessionsOf(boxes[1]) == 2);
}

void takesTurnsIfAllAreIdle() {
  SharedState shared;
  const std::shared_ptr<MessageQueue> boxes[] = {queue(), queue()};
  for (const auto& box : boxes) shared.dispatcher.add(box, Role::serving);
  for (int i = 0; i < 6; ++i) {
    const auto session = begin(shared);
    CHECK(sessionsOf(boxes[i % 2]) == 1 && sessionsOf(boxes[(i + 1) % 2]) == 0);
  }
}

void passesOverThreadsThatAreStuck() {
  using Clock = MessageQueue::Clock;
  SharedState shared;
  const auto session = begin(shared);  // bound to none of these, which it need not know for this
  const auto stuck = queue();
  const auto other = queue();
  for (const auto& box : {stuck, other}) shared.dispatcher.add(box, Role::serving);
  const auto binds = [&](Clock::time_point now) { return shared.dispatcher.bind(session.get(), now); };
  const auto post = [](const auto& box) { CHECK(box->post({MessageKind::stopped, nullptr, 0, nullptr})); };
  post(stuck);
  const auto before = Clock::now();  // it may take the message at any moment
  const auto later = before + MessageQueue::kStuck;
  CHECK(binds(before) == stuck);
  stuck->unbind(session.get());
  CHECK(binds(before) == other);
  CHECK(binds(later) == other);
  CHECK(sessionsOf(stuck) == 0 && sessionsOf(other) == 1);
  post(other);
  const auto latest = Clock::now() + MessageQueue::kStuck;
  CHECK(binds(latest) == stuck);  // both are
  stuck->unbind(session.get());
  CHECK(other->take().size() == 1);
  CHECK(binds(latest) == other);
  CHECK(stuck->take().size() == 1);
  CHECK(binds(latest) == stuck);
  for (const auto& box : {stuck, other}) box->unbind(session.get());
}

void refusesForNowIfNoThreadServes() {
  SharedState shared;
  shared.dispatcher.add(queue(), Role::observing);
  const auto session = begin(shared);
  const uint32_t offer[4] = {0x1ff, 0x1fffff, 0, 0};
  CHECK(session->negotiate(offer) == Verdict::allOpts);
  CHECK(session->handle(Step::connect) == Verdict::tempfail);
  CHECK(session->handle(Step::envfrom) == Verdict::tempfail);
  session->close();
  shared.inFlight.drain();
  CHECK(begin(shared)->negotiate(offer) == Verdict::reject);
}

void continuesWithoutAThreadThatEnds() {
  SharedState shared;
  const auto ending = queue();
  shared.dispatcher.add(ending, Role::serving);
  const auto orphan = begin(shared);
  const auto idle = begin(shared);
  FakeJsThread jsThread([](Message& message) {
    message.session->pendingReply().answer(message.question, answerOf(Verdict::cont));
  });
  shared.dispatcher.add(jsThread.queue(), Role::serving);
  const auto other = begin(shared);
  std::thread parked([&] { CHECK(orphan->handle(Step::helo) == Verdict::tempfail); });
  waitUntil("a question", [&] { return shared.inFlight.callbacks() == 1; });
  shared.dispatcher.remove(*ending);
  ending->close();
  parked.join();
  CHECK(idle->handle(Step::helo) == Verdict::tempfail);  // it stays bound to the queue that has closed
  CHECK(other->handle(Step::helo) == Verdict::cont);
  CHECK(begin(shared)->handle(Step::helo) == Verdict::cont);
  for (const auto& session : {orphan, idle, other}) session->close();
}

void postsStoppedOnce() {
  SharedState shared;
  const auto early = queue();
  const auto watcher = queue();
  shared.dispatcher.add(early, Role::serving);
  shared.dispatcher.add(watcher, Role::observing);
  shared.dispatcher.releaseAll();
  shared.dispatcher.notifyStopped(true);
  const auto late = queue();
  shared.dispatcher.add(late, Role::serving);
  for (const auto& box : {early, watcher, late}) {
    const std::vector<Message> messages = box->take();
    CHECK(messages.size() == 1 && messages[0].kind == MessageKind::stopped && messages[0].question == 1);
  }
  CHECK(begin(shared)->handle(Step::helo) == Verdict::tempfail);
  CHECK(sessionsOf(early) + sessionsOf(late) == 0);
}

// JS threads come and go while sessions begin, ask and end. None waits forever.
void addsAndRemovesQueuesUnderLoad() {
  SharedState shared;
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  threads.reserve(6);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!over) {
        const auto session = begin(shared);
        session->handle(Step::helo);
        session->handle(Step::helo);
        session->close();
      }
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int life = 0; life < 60; ++life) {
        FakeJsThread jsThread([](Message& message) {
          message.session->pendingReply().answer(message.question, answerOf(Verdict::cont));
        });
        shared.dispatcher.add(jsThread.queue(), Role::serving);
        std::this_thread::sleep_for(milliseconds(1));
        shared.dispatcher.remove(*jsThread.queue());
        jsThread.queue()->close();
      }
      over = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(shared.inFlight.callbacks() == 0);
}

}  // namespace

int main() {
  bindsToTheLeastLoaded();
  takesTurnsIfAllAreIdle();
  passesOverThreadsThatAreStuck();
  refusesForNowIfNoThreadServes();
  continuesWithoutAThreadThatEnds();
  postsStoppedOnce();
  addsAndRemovesQueuesUnderLoad();
}
