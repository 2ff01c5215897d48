// The queue to a JS thread: order, wake-ups, and the end of the thread while others post.
#include "bridge/mailbox.h"

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"

using namespace milter;
using namespace milter::test;

namespace {

Mail note(uint32_t number) { return {Mail::Kind::stopped, nullptr, number, {}}; }

void keepsOrderAndWakesOnce() {
  int wakes = 0;
  Mailbox mailbox([&] { ++wakes; });
  for (uint32_t i = 0; i < 3; ++i) CHECK(mailbox.post(note(i)));
  CHECK(wakes == 1);  // until the mail is taken
  const std::vector<Mail> taken = mailbox.take();
  CHECK(taken.size() == 3 && taken[0].question == 0 && taken[2].question == 2);
  CHECK(mailbox.post(note(3)));
  CHECK(wakes == 2);
}

void takesNothingWhenClosed() {
  int wakes = 0;
  Mailbox mailbox([&] { ++wakes; });
  CHECK(mailbox.post(note(0)));
  mailbox.close();
  CHECK(mailbox.take().empty());
  CHECK(!mailbox.post(note(1)));
  CHECK(wakes == 1);
}

void releasesItsSessions() {
  House house;
  const auto mailbox = std::make_shared<Mailbox>([] {});
  house.roster.join(mailbox, Roster::Duty::serves);
  std::vector<std::shared_ptr<Session>> sessions;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    sessions.push_back(std::make_shared<Session>(house, std::make_unique<FakeMta>()));
    threads.emplace_back(
        [session = sessions.back()] { CHECK(session->handle(Step::helo) == Verdict::tempfail); });
  }
  eventually("four questions", [&] { return house.traffic.running() == 4; });
  mailbox->close();
  for (std::thread& thread : threads) thread.join();
  const auto late = std::make_shared<Session>(house, std::make_unique<FakeMta>());
  CHECK(late->handle(Step::helo) == Verdict::tempfail);  // at once: there is nobody to ask
}

// The JS thread ends while sessions begin, ask and end on others: none waits for ever, none is touched when
// gone.
void isClosedInTheMiddle() {
  for (int round = 0; round < 30; ++round) {
    House house;
    const auto mailbox = std::make_shared<Mailbox>([] {});
    house.roster.join(mailbox, Roster::Duty::serves);
    std::atomic<bool> over{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        while (!over) {
          const auto session = std::make_shared<Session>(house, std::make_unique<FakeMta>());
          session->handle(Step::helo);
          session->close();
        }
      });
    }
    std::thread reader([&] {
      for (int i = 0; i < 100 && !over; ++i) {
        for (Mail& mail : mailbox->take()) {
          if (mail.kind == Mail::Kind::question)
            mail.session->exchange().answer(mail.question, answerOf(Verdict::cont));
        }
      }
      mailbox->close();
      over = true;
    });
    reader.join();
    for (std::thread& thread : threads) thread.join();
    CHECK(mailbox->load() == 0);
  }
}

}  // namespace

int main() {
  keepsOrderAndWakesOnce();
  takesNothingWhenClosed();
  releasesItsSessions();
  isClosedInTheMiddle();
}
