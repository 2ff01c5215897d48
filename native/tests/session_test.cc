// A session's way between libmilter's callbacks and a JS thread: what is asked, what waits for the end of the
// message.
#include "bridge/session.h"

#include "bridge/process.h"
#include "check.h"
#include "clerk.h"

using namespace milter;
using namespace milter::test;

namespace {

using Seen = std::vector<std::string>;

constexpr StepMask kAll = (StepMask{1} << kStepCount) - 1;

Agreement deferring(StepMask asked = kAll) {
  Agreement agreement;
  agreement.protocol = kProtocolSkip;
  agreement.asked = asked;
  agreement.deferred = asked & kDeferrable;
  agreement.silent = bit(Step::header) | bit(Step::eoh);
  return agreement;
}

// A session whose terms are given, its house and its clerk.
struct Scene {
  using Judge = std::function<Verdict(const Batch&)>;
  explicit Scene(Judge judge, const Agreement& agreement = deferring())
      : clerk([this, judge](Mail& mail) {
          Answer answer = answerOf(judge(mail.batch));
          answer.agreement = offered;
          mail.session->exchange().answer(mail.question, std::move(answer));
        }) {
    house.roster.join(clerk.mailbox(), Roster::Duty::serves);
    session = begin();
    session->adopt(agreement);
  }
  std::shared_ptr<Session> begin() { return std::make_shared<Session>(house, std::make_unique<FakeMta>()); }
  Verdict header(const std::string& name) {
    return session->handle(Step::header, [&](Batch& batch, Event&) {
      batch.add(name);
      batch.add("value");
    });
  }
  Verdict body(size_t length) {
    return session->handle(Step::body, [&](Batch& batch, Event&) { batch.add(std::string(length, 'x')); });
  }
  House house;
  Agreement offered;  // to negotiate
  Clerk clerk;
  std::shared_ptr<Session> session;
};

bool quiet(const Traffic& traffic, milliseconds patience) {
  const Traffic::Deadline deadline{(Traffic::Clock::now() + patience).time_since_epoch().count()};
  return traffic.awaitQuiet(deadline, true);
}

Verdict always(const Batch&) { return Verdict::cont; }

void asksOnceForAMessage() {
  Scene scene(always);
  CHECK(scene.session->handle(Step::envfrom) == Verdict::cont);
  CHECK(scene.header("Subject") == Verdict::noreply);
  CHECK(scene.header("From") == Verdict::noreply);
  CHECK(scene.session->handle(Step::eoh) == Verdict::noreply);
  CHECK(scene.body(100) == Verdict::cont);  // body keeps its replies: see lib/session/negotiation.ts
  CHECK(scene.house.traffic.messages() == 1);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  CHECK(scene.house.traffic.messages() == 0);
  CHECK((scene.clerk.seen() == Seen{"envfrom", "header header eoh body eom"}));
}

void handsOverAFullBatch() {
  Scene scene(always);
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 4; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.body(10) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  const Seen seen = scene.clerk.seen();
  CHECK(seen.front() == "envfrom" && seen[1] == "body body body body body" && seen.back() == "eom" &&
        seen.size() == 3);
}

void handsOverAnOldBatch() {
  Scene scene(always);
  scene.session->handle(Step::envfrom);
  scene.header("one");
  std::this_thread::sleep_for(milliseconds(25));
  scene.header("two");
  CHECK((scene.clerk.seen() == Seen{"envfrom", "header header"}));
}

// A verdict on a batch in the middle of the message holds, and nothing more is asked.
void defersAnEarlyVerdict() {
  Scene scene([](const Batch& batch) {
    return batch.events().front().step == Step::body ? Verdict::reject : Verdict::cont;
  });
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 8; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::reject);
  CHECK((scene.clerk.seen() == Seen{"envfrom", "body body body body body"}));
  CHECK(scene.session->handle(Step::envfrom) == Verdict::cont);  // the next message is another
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
}

void skipsWhatIsLeftOfAStep() {
  Scene scene([](const Batch& batch) {
    return batch.events().back().step == Step::body ? Verdict::skip : Verdict::cont;
  });
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 12; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  const Seen seen = scene.clerk.seen();
  CHECK(seen.size() == 3 && seen.back() == "eom");
}

void skipsForAnMtaThatDoesNotKnowIt() {
  Agreement immediate = deferring();
  immediate.deferred = 0;
  immediate.silent = 0;
  immediate.protocol = 0;
  Scene scene(
      [](const Batch& batch) {
        return batch.events().back().step == Step::body ? Verdict::skip : Verdict::cont;
      },
      immediate);
  scene.session->handle(Step::envfrom);
  CHECK(scene.body(1) == Verdict::cont);
  CHECK(scene.body(1) == Verdict::cont);
  CHECK((scene.clerk.seen() == Seen{"envfrom", "body"}));
}

void bringsThePendingBatchToEomAndAbort() {
  Scene scene(always, deferring(bit(Step::header)));
  scene.header("one");
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);  // no handler of its own, but the header's
  scene.header("two");
  CHECK(scene.session->handle(Step::abort) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);  // nothing pending: nobody is asked
  CHECK((scene.clerk.seen() == Seen{"header eom", "header abort"}));
}

// What fails in a step without reply holds at the end of the message: libmilter must not see it before.
void keepsTheVerdictOfASilentStep() {
  Agreement agreement = deferring();
  agreement.silent |= bit(Step::envfrom);
  Scene scene([](const Batch&) { return Verdict::tempfail; }, agreement);
  CHECK(scene.session->handle(Step::envfrom) == Verdict::noreply);
  CHECK(scene.session->handle(Step::envrcpt) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::tempfail);
}

void neverLeavesTheMtaWithoutReply() {
  Scene scene([](const Batch&) { return Verdict::noreply; });
  CHECK(scene.session->handle(Step::helo) == Verdict::cont);
}

void countsMessages() {
  Scene scene([](const Batch& batch) {
    return batch.events().back().step == Step::envrcpt ? Verdict::reject : Verdict::cont;
  });
  const Traffic& traffic = scene.house.traffic;
  scene.session->handle(Step::helo);
  CHECK(traffic.messages() == 0);
  scene.session->handle(Step::envfrom);
  scene.session->handle(Step::envrcpt);  // one recipient is refused: the message goes on
  CHECK(traffic.messages() == 1);
  scene.session->handle(Step::abort);
  CHECK(traffic.messages() == 0);
  scene.session->handle(Step::envfrom);
  scene.session->close();
  CHECK(traffic.messages() == 0);
}

void refusesNewMessagesWhileItDrains() {
  Scene scene(always);
  const auto other = scene.begin();
  scene.session->handle(Step::envfrom);
  scene.house.traffic.drain();
  CHECK(scene.header("goes on") == Verdict::noreply);
  CHECK(other->handle(Step::envfrom) == Verdict::tempfail);
  Agreement agreement;
  const uint32_t offer[4] = {};
  CHECK(other->negotiate(offer, agreement) == Verdict::reject);
  CHECK(!quiet(scene.house.traffic, milliseconds(30)));
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  CHECK(quiet(scene.house.traffic, milliseconds(5'000)));
}

void closesOnceAndOnlyWhatWasKnown() {
  Scene scene(always);
  scene.session->close();  // JS has never heard of it
  CHECK(scene.clerk.seen().empty());
  const auto known = scene.begin();
  known->handle(Step::helo);
  known->close();
  eventually("closed", [&] { return (scene.clerk.seen() == Seen{"helo", "mail 1"}); });
  CHECK(known->handle(Step::helo) == Verdict::tempfail);
}

void followsThePolicyWhenNobodyAnswers() {
  House house;
  house.settings.setPatience(20);
  house.settings.setPolicy({Verdict::reject, "554", "5.3.0", "x: untrapped exception"});
  const auto mailbox = std::make_shared<Mailbox>([] {});
  house.roster.join(mailbox, Roster::Duty::serves);
  auto mta = std::make_unique<FakeMta>();
  FakeMta& seen = *mta;
  const auto session = std::make_shared<Session>(house, std::move(mta));
  CHECK(session->handle(Step::helo) == Verdict::reject);
  CHECK(seen.reply == "554 x: untrapped exception");
  const std::vector<Mail> mail = mailbox->take();
  CHECK(mail.size() == 2 && mail[1].kind == Mail::Kind::expired);
}

void negotiates() {
  Scene scene(always);
  scene.offered = deferring(bit(Step::eom));
  const auto session = scene.begin();
  const uint32_t offer[4] = {0x1ff, 0x1fffff, 0, 0};
  Agreement agreement;
  CHECK(session->negotiate(offer, agreement) == Verdict::cont);
  CHECK(agreement.asked == bit(Step::eom));
  CHECK(session->handle(Step::helo) == Verdict::cont);
  CHECK((scene.clerk.seen() == Seen{"negotiate"}));  // helo has no handler: nobody was asked
}

}  // namespace

int main() {
  asksOnceForAMessage();
  handsOverAFullBatch();
  handsOverAnOldBatch();
  defersAnEarlyVerdict();
  skipsWhatIsLeftOfAStep();
  skipsForAnMtaThatDoesNotKnowIt();
  bringsThePendingBatchToEomAndAbort();
  keepsTheVerdictOfASilentStep();
  neverLeavesTheMtaWithoutReply();
  countsMessages();
  refusesNewMessagesWhileItDrains();
  closesOnceAndOnlyWhatWasKnown();
  followsThePolicyWhenNobodyAnswers();
  negotiates();
}
