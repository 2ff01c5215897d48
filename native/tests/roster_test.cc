// The mailboxes of many JS threads: who gets a session, and what becomes of the sessions of one that ends.
#include "bridge/roster.h"

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"
#include "clerk.h"

using namespace milter;
using namespace milter::test;

namespace {

using Duty = Roster::Duty;

std::shared_ptr<Mailbox> mailbox() {
  return std::make_shared<Mailbox>([] {});
}
std::shared_ptr<Session> begin(House& house) {
  return std::make_shared<Session>(house, std::make_unique<FakeMta>());
}

void bindsToTheLeastLoaded() {
  House house;
  const auto watcher = mailbox();
  const std::shared_ptr<Mailbox> boxes[] = {mailbox(), mailbox(), mailbox()};
  house.roster.join(watcher, Duty::watches);
  for (const auto& box : boxes) house.roster.join(box, Duty::serves);
  std::vector<std::shared_ptr<Session>> sessions;
  for (int i = 0; i < 6; ++i) sessions.push_back(begin(house));
  for (const auto& box : boxes) CHECK(box->load() == 2);
  CHECK(watcher->load() == 0);
  sessions.erase(sessions.begin() + 1);  // the second thread's: equally loaded ones take turns
  CHECK(boxes[1]->load() == 1);
  sessions.push_back(begin(house));
  CHECK(boxes[1]->load() == 2);
}

void takesTurnsWhereAllAreIdle() {
  House house;
  const std::shared_ptr<Mailbox> boxes[] = {mailbox(), mailbox()};
  for (const auto& box : boxes) house.roster.join(box, Duty::serves);
  for (int i = 0; i < 6; ++i) {
    const auto session = begin(house);
    CHECK(boxes[i % 2]->load() == 1 && boxes[(i + 1) % 2]->load() == 0);
  }
}

void refusesForNowWhereNobodyServes() {
  House house;
  house.roster.join(mailbox(), Duty::watches);
  const auto session = begin(house);
  const uint32_t offer[4] = {0x1ff, 0x1fffff, 0, 0};
  Agreement agreement;
  CHECK(session->negotiate(offer, agreement) == Verdict::allOpts);
  CHECK(session->handle(Step::connect) == Verdict::tempfail);
  CHECK(session->handle(Step::envfrom) == Verdict::tempfail);
  session->close();
  house.traffic.drain();
  CHECK(begin(house)->negotiate(offer, agreement) == Verdict::reject);
}

void goesOnWithoutOneThatEnds() {
  House house;
  const auto ending = mailbox();
  house.roster.join(ending, Duty::serves);
  const auto orphan = begin(house);
  const auto idle = begin(house);
  Clerk clerk([](Mail& mail) { mail.session->exchange().answer(mail.question, answerOf(Verdict::cont)); });
  house.roster.join(clerk.mailbox(), Duty::serves);
  const auto other = begin(house);
  std::thread parked([&] { CHECK(orphan->handle(Step::helo) == Verdict::tempfail); });
  eventually("a question", [&] { return house.traffic.running() == 1; });
  house.roster.leave(*ending);
  ending->close();
  parked.join();
  CHECK(idle->handle(Step::helo) == Verdict::tempfail);  // bound for life
  CHECK(other->handle(Step::helo) == Verdict::cont);
  CHECK(begin(house)->handle(Step::helo) == Verdict::cont);
  for (const auto& session : {orphan, idle, other}) session->close();
}

void tellsTheEndOnce() {
  House house;
  const auto early = mailbox();
  const auto watcher = mailbox();
  house.roster.join(early, Duty::serves);
  house.roster.join(watcher, Duty::watches);
  house.roster.releaseAll();
  house.roster.dismiss(true);
  const auto late = mailbox();
  house.roster.join(late, Duty::serves);
  for (const auto& box : {early, watcher, late}) {
    const std::vector<Mail> mail = box->take();
    CHECK(mail.size() == 1 && mail[0].kind == Mail::Kind::stopped && mail[0].question == 1);
  }
  CHECK(begin(house)->handle(Step::helo) == Verdict::tempfail);
  CHECK(early->load() + late->load() == 0);
}

// JS threads come and end while sessions begin, ask and end: none waits for ever, none outlives its mailbox.
void comeAndGoUnderLoad() {
  House house;
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!over) {
        const auto session = begin(house);
        session->handle(Step::helo);
        session->handle(Step::helo);
        session->close();
      }
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int life = 0; life < 60; ++life) {
        Clerk clerk(
            [](Mail& mail) { mail.session->exchange().answer(mail.question, answerOf(Verdict::cont)); });
        house.roster.join(clerk.mailbox(), Duty::serves);
        std::this_thread::sleep_for(milliseconds(1));
        house.roster.leave(*clerk.mailbox());
        clerk.mailbox()->close();
      }
      over = true;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(house.traffic.running() == 0);
}

}  // namespace

int main() {
  bindsToTheLeastLoaded();
  takesTurnsWhereAllAreIdle();
  refusesForNowWhereNobodyServes();
  goesOnWithoutOneThatEnds();
  tellsTheEndOnce();
  comeAndGoUnderLoad();
}
