// A session between libmilter's callbacks and a JS thread: what is asked, and what is kept for the end of the
// message.
#include "bridge/session.h"

#include <algorithm>

#include "bridge/process.h"
#include "check.h"
#include "fake_js_thread.h"

using namespace milter;
using namespace milter::test;

namespace {

using Seen = std::vector<std::string>;

constexpr StepMask kAll = (StepMask{1} << kStepCount) - 1;

NegotiatedOptions deferring(StepMask asked = kAll) {
  NegotiatedOptions options;
  options.protocol = kProtocolSkip;
  options.asked = asked;
  options.deferred = asked & kDeferrableSteps;
  options.silent = bit(Step::header) | bit(Step::eoh);
  return options;
}

// A session with given options, and the fake JS thread that answers it.
struct Scene {
  using Responder = std::function<Verdict(const Batch&)>;
  explicit Scene(Responder responder, const NegotiatedOptions& options = deferring())
      : jsThread([this, responder = std::move(responder)](Message& message) {
          Answer answer = answerOf(responder(*message.batch));
          message.batch.reset();
          answer.options = offered;
          answer.keepsNothing = keepsNothing;
          message.session->pendingReply().answer(message.question, answer);
        }) {
    shared.settings.setMaxBatchAge(std::chrono::hours(1));  // however busy the machine is
    shared.dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
    session = begin();
    session->adopt(options);
  }
  std::shared_ptr<Session> begin() { return std::make_shared<Session>(shared, std::make_unique<FakeMta>()); }
  Verdict header(const std::string& name) {
    return session->handle(Step::header, [&](Batch& batch, Event&) {
      batch.addArgument(name);
      batch.addArgument("value");
    });
  }
  Verdict body(size_t length) {
    return session->handle(Step::body,
                           [&](Batch& batch, Event&) { batch.addArgument(std::string(length, 'x')); });
  }
  SharedState shared;
  NegotiatedOptions offered;  // to negotiate
  bool keepsNothing = false;  // in all answers
  FakeJsThread jsThread;
  std::shared_ptr<Session> session;
};

bool idleWithin(const InFlight& inFlight, milliseconds timeout) {
  const InFlight::Deadline deadline{(InFlight::Clock::now() + timeout).time_since_epoch().count()};
  return inFlight.awaitIdle(deadline, true);
}

Verdict always(const Batch&) { return Verdict::cont; }

void asksOnceForAMessage() {
  Scene scene(always);
  CHECK(scene.session->handle(Step::envfrom) == Verdict::cont);
  CHECK(scene.header("Subject") == Verdict::noreply);
  CHECK(scene.header("From") == Verdict::noreply);
  CHECK(scene.session->handle(Step::eoh) == Verdict::noreply);
  CHECK(scene.body(100) == Verdict::cont);  // body keeps its replies; lib/session/negotiation.ts says why
  CHECK(scene.shared.inFlight.transactions() == 1);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  CHECK(scene.shared.inFlight.transactions() == 0);
  CHECK((scene.jsThread.seen() == Seen{"envfrom", "header header eoh body eom"}));
}

void countsWhatTheBatchesTake() {
  Scene scene(always);
  const BufferedBytes& buffered = scene.shared.bufferedBytes;
  scene.session->handle(Step::helo);
  CHECK(buffered.bytes() == 0);
  scene.session->handle(Step::envfrom);
  const int64_t again = buffered.bytes();  // the memory of the answered batch, for the next one
  CHECK(again > 0 && again < 10'000);
  scene.header("Subject");
  CHECK(buffered.bytes() > again);
  scene.body(100'000);
  CHECK(buffered.bytes() >= 100'000);
  scene.session->handle(Step::eom);  // the handlers have answered
  CHECK(buffered.bytes() == 0);
  scene.session->handle(Step::envfrom);
  scene.header("Subject");
  scene.session->handle(Step::abort);
  CHECK(buffered.bytes() == 0);
  scene.session->handle(Step::envfrom);
  scene.header("Subject");
  const std::weak_ptr<Session> last = scene.session;
  scene.session.reset();
  // A message that has been answered holds the session a moment longer.
  waitUntil("the session's end", [&last] { return last.expired(); });
  CHECK(buffered.bytes() == 0);
}

void collectsNothingWhileAllSessionsHoldTooMuch() {
  Scene scene(always);
  scene.shared.bufferedBytes.setLimit(200'000);
  const auto other = scene.begin();
  other->adopt(deferring());
  other->handle(Step::envfrom);
  scene.session->handle(Step::envfrom);
  other->handle(Step::body, [](Batch& batch, Event&) { batch.addArgument(std::string(250'000, 'x')); });
  scene.header("Subject");  // alone, although it is another session that holds so much
  scene.body(70'000);
  CHECK(scene.shared.bufferedBytes.bytes() < 400'000);  // nothing is reserved for more
  scene.session->handle(Step::eoh);
  CHECK((scene.jsThread.seen() == Seen{"envfrom", "envfrom", "header", "body", "eoh"}));
  other->handle(Step::eom);
  scene.header("X-After");
  scene.session->handle(Step::eom);
  CHECK((scene.jsThread.seen() ==
         Seen{"envfrom", "envfrom", "header", "body", "eoh", "body eom", "header eom"}));
}

void countsABatchWhileItsHandlersAreSlow() {
  std::atomic<bool> released{false};
  Scene scene([&](const Batch& batch) {
    if (batch.events().back().step == Step::eom) waitUntil("the release", [&] { return released.load(); });
    return Verdict::cont;
  });
  scene.session->handle(Step::envfrom);
  scene.body(100'000);
  std::thread end([&] { scene.session->handle(Step::eom); });
  waitUntil("the question", [&] { return scene.jsThread.count("body eom") == 1; });
  CHECK(scene.shared.bufferedBytes.bytes() >= 100'000);
  released = true;
  end.join();
  CHECK(scene.shared.bufferedBytes.bytes() == 0);
}

void releasesTheChunksBeforeTheLastHandlerAnswers() {
  std::atomic<bool> answered{false};
  std::atomic<uint32_t> question{0};
  SharedState shared;
  shared.settings.setMaxBatchAge(std::chrono::hours(1));
  FakeJsThread jsThread([&](Message& message) {
    question = message.question;
    const bool atEnd = message.batch->events().back().step == Step::eom;
    if (atEnd) {
      CHECK(shared.bufferedBytes.bytes() >= 100'000);
      CHECK(!message.session->releaseChunks(message.question + 1, true));
      CHECK(message.session->releaseChunks(message.question, true));
      CHECK(shared.bufferedBytes.bytes() == 0);
    }
    Answer answer = answerOf(Verdict::cont);
    answer.keepsNothing = true;
    message.session->pendingReply().answer(message.question, answer);
    answered = atEnd;
  });
  shared.dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
  const auto session = std::make_shared<Session>(shared, std::make_unique<FakeMta>());
  session->adopt(deferring());
  for (int message = 0; message < 2; ++message) {
    answered = false;
    session->handle(Step::envfrom);
    session->handle(Step::body, [](Batch& batch, Event&) { batch.addArgument(std::string(100'000, 'x')); });
    CHECK(session->handle(Step::eom) == Verdict::cont);
    waitUntil("the answer", [&] { return answered.load(); });
    CHECK(!session->releaseChunks(question, true));  // the question is closed
  }
}

void handsOverAFullBatch() {
  Scene scene(always);
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 4; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.body(10) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  const Seen seen = scene.jsThread.seen();
  CHECK(seen.front() == "envfrom" && seen[1] == "body body body body body" && seen.back() == "eom" &&
        seen.size() == 3);
}

void handsOverAnOldBatch() {
  Scene scene(always);
  scene.session->handle(Step::envfrom);
  scene.header("one");
  scene.shared.settings.setMaxBatchAge(milliseconds(20));
  std::this_thread::sleep_for(milliseconds(25));
  scene.header("two");
  CHECK((scene.jsThread.seen() == Seen{"envfrom", "header header"}));
}

// A verdict on a batch in the middle of the message counts, and nothing more is asked.
void defersAnEarlyVerdict() {
  Scene scene([](const Batch& batch) {
    return batch.events().front().step == Step::body ? Verdict::reject : Verdict::cont;
  });
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 8; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::reject);
  CHECK((scene.jsThread.seen() == Seen{"envfrom", "body body body body body"}));
  CHECK(scene.session->handle(Step::envfrom) == Verdict::cont);  // the next message has no verdict yet
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
}

void skipsWhatIsLeftOfAStep() {
  Scene scene([](const Batch& batch) {
    return batch.events().back().step == Step::body ? Verdict::skip : Verdict::cont;
  });
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 12; ++i) CHECK(scene.body(65'535) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  const Seen seen = scene.jsThread.seen();
  CHECK(seen.size() == 3 && seen.back() == "eom");
}

void skipsForAnMtaThatDoesNotKnowIt() {
  NegotiatedOptions immediate = deferring();
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
  CHECK((scene.jsThread.seen() == Seen{"envfrom", "body"}));
}

void bringsThePendingBatchToEomAndAbort() {
  Scene scene(always, deferring(bit(Step::header)));
  scene.header("one");
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);  // eom has no handler, but the header has
  scene.header("two");
  CHECK(scene.session->handle(Step::abort) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);  // nothing is pending, so nothing is asked
  CHECK((scene.jsThread.seen() == Seen{"header eom", "header abort"}));
}

// A failure in a step without reply counts at the end of the message. libmilter must not see it before.
void keepsTheVerdictOfASilentStep() {
  NegotiatedOptions options = deferring();
  options.silent |= bit(Step::envfrom);
  Scene scene([](const Batch&) { return Verdict::tempfail; }, options);
  CHECK(scene.session->handle(Step::envfrom) == Verdict::noreply);
  CHECK(scene.session->handle(Step::envrcpt) == Verdict::cont);
  CHECK(scene.session->handle(Step::eom) == Verdict::tempfail);
}

// What cannot change between MAIL and the end of the message is as it was at MAIL, in each message anew.
void asksOnceAMessageForMacrosThatLast() {
  std::string kept;
  NegotiatedOptions options = deferring();
  const StepMask silent = bit(Step::helo) | bit(Step::envfrom) | bit(Step::envrcpt);
  options.deferred |= silent;
  options.silent |= silent;
  options.macros = std::make_shared<const MacroNames>(MacroNames{{"j"}, {"i"}});
  Scene scene(
      [&](const Batch& batch) {
        for (const Event& event : batch.events()) {
          if (event.withMacros) kept.append(batch.argument(event, 0)).push_back('\n');
        }
        return Verdict::cont;
      },
      options);
  auto owned = std::make_unique<FakeMta>();
  FakeMta& mta = *owned;
  scene.session = std::make_shared<Session>(scene.shared, std::move(owned));
  scene.session->adopt(options);
  const auto take = [&](Step step, const char* host, const char* queueId) {
    mta.host = host;
    mta.queueId = queueId;
    CHECK(scene.session->handle(step) == (step == Step::eom ? Verdict::cont : Verdict::noreply));
  };
  take(Step::helo, "one", "");
  take(Step::envfrom, "two", "");
  take(Step::envrcpt, "three", "");
  take(Step::envrcpt, "four", "a");
  take(Step::eom, "five", "b");
  take(Step::envfrom, "six", "");
  take(Step::eom, "seven", "c");
  std::string expected = "j-one-\nj-two-\nj-two-\nj-two-i-a-\nj-six-\n";
  std::replace(expected.begin(), expected.end(), '-', '\0');
  CHECK(kept == expected);
}

void neverLeavesTheMtaWithoutReply() {
  Scene scene([](const Batch&) { return Verdict::noreply; });
  CHECK(scene.session->handle(Step::helo) == Verdict::cont);
}

void countsMessages() {
  Scene scene([](const Batch& batch) {
    return batch.events().back().step == Step::envrcpt ? Verdict::reject : Verdict::cont;
  });
  const InFlight& inFlight = scene.shared.inFlight;
  scene.session->handle(Step::helo);
  CHECK(inFlight.transactions() == 0);
  scene.session->handle(Step::envfrom);
  scene.session->handle(Step::envrcpt);  // one recipient is refused, and the message goes on
  CHECK(inFlight.transactions() == 1);
  scene.session->handle(Step::abort);
  CHECK(inFlight.transactions() == 0);
  scene.session->handle(Step::envfrom);
  scene.session->close();
  CHECK(inFlight.transactions() == 0);
}

void refusesNewMessagesWhileItDrains() {
  Scene scene(always);
  const auto other = scene.begin();
  scene.session->handle(Step::envfrom);
  scene.shared.inFlight.drain();
  CHECK(scene.header("goes on") == Verdict::noreply);
  CHECK(other->handle(Step::envfrom) == Verdict::tempfail);
  const uint32_t offer[4] = {};
  CHECK(other->negotiate(offer) == Verdict::reject);
  CHECK(scene.shared.interruptions.of(Interruption::stopping) == 2);
  CHECK(!idleWithin(scene.shared.inFlight, milliseconds(30)));
  CHECK(scene.session->handle(Step::eom) == Verdict::cont);
  CHECK(idleWithin(scene.shared.inFlight, milliseconds(5'000)));
}

void closesOnceAndOnlyWhatWasKnown() {
  Scene scene(always);
  scene.session->close();  // JS does not know this session
  CHECK(scene.jsThread.seen().empty());
  const auto known = scene.begin();
  known->handle(Step::helo);
  known->close();
  waitUntil("closed", [&] { return (scene.jsThread.seen() == Seen{"helo", "closed"}); });
  CHECK(known->handle(Step::helo) == Verdict::tempfail);
  CHECK(scene.shared.interruptions.of(Interruption::unavailable) == 1);
}

void followsThePolicyWhenNobodyAnswers() {
  SharedState shared;
  shared.settings.setAnswerTimeout(20);
  shared.settings.setPolicy({Verdict::reject, "554", "5.3.0", "x: untrapped exception"});
  const auto queue = std::make_shared<MessageQueue>([] {});
  shared.dispatcher.add(queue, Dispatcher::Role::serving);
  auto mta = std::make_unique<FakeMta>();
  FakeMta& seen = *mta;
  const auto session = std::make_shared<Session>(shared, std::move(mta));
  CHECK(session->handle(Step::helo) == Verdict::reject);
  CHECK(seen.reply == "554 x: untrapped exception");
  const std::vector<Message> messages = queue->take();
  CHECK(messages.size() == 2 && messages[1].kind == MessageKind::expired);
  CHECK(shared.interruptions.of(Interruption::expired) == 1);
}

void negotiates() {
  Scene scene(always);
  scene.offered = deferring(bit(Step::eom));
  const auto session = scene.begin();
  const uint32_t offer[4] = {0x1ff, 0x1fffff, 0, 0};
  CHECK(session->negotiate(offer) == Verdict::cont);
  CHECK(session->negotiatedOptions().asked == bit(Step::eom));
  CHECK(session->handle(Step::helo) == Verdict::cont);
  CHECK((scene.jsThread.seen() == Seen{"negotiate"}));  // helo has no handler, so nothing was asked
}

// The handlers keep nothing; `blocks` remembers the memory of each question that has some.
Scene::Responder keepingNothing(std::vector<std::shared_ptr<Block>>& blocks) {
  return [&blocks](const Batch& batch) {
    if (batch.bytes() > 0) blocks.push_back(batch.block());
    return Verdict::cont;
  };
}

void sendBody(Scene& scene, Step end) {
  scene.session->handle(Step::envfrom);
  for (int i = 0; i < 10; ++i) scene.body(65'535);  // two whole batches
  scene.session->handle(end);
}

void usesMemoryAgainOnlyWithinAMessage() {
  std::vector<std::shared_ptr<Block>> blocks;
  Scene scene(keepingNothing(blocks));
  scene.keepsNothing = true;
  for (const Step end : {Step::eom, Step::abort, Step::eom}) sendBody(scene, end);
  CHECK(blocks.size() == 6);
  CHECK(blocks[0] == blocks[1] && blocks[2] == blocks[3] && blocks[4] == blocks[5]);
  CHECK(blocks[1] != blocks[2] && blocks[3] != blocks[4]);
  CHECK(scene.shared.bufferedBytes.bytes() == 0);
}

// The JS thread has texts as strings of its own, so their memory is used again whatever handlers keep.
void usesMemoryOfTextsAgain() {
  std::vector<std::shared_ptr<Block>> blocks;
  Scene scene(keepingNothing(blocks));
  const auto command = [&](Step step) {
    scene.session->handle(step, [](Batch& batch, Event&) { batch.addArgument("<postmaster>"); });
  };
  for (const Step step : {Step::helo, Step::envfrom, Step::envrcpt, Step::envrcpt}) command(step);
  scene.body(100);
  scene.session->handle(Step::eom);
  CHECK(blocks.size() == 5);
  CHECK(blocks[0] != blocks[1]);  // between messages a session has none
  CHECK(blocks[1] == blocks[2] && blocks[2] == blocks[3] && blocks[3] == blocks[4]);
}

void leavesMemoryToHandlersThatMayKeepIt() {
  std::vector<std::shared_ptr<Block>> blocks;
  Scene scene(keepingNothing(blocks));
  sendBody(scene, Step::eom);
  CHECK(blocks.size() == 2 && blocks[0] != blocks[1]);
}

void leavesMemoryToHandlersThatAreStillRunning() {
  SharedState shared;
  shared.settings.setMaxBatchAge(std::chrono::hours(1));
  shared.settings.setPolicy({Verdict::cont, "", "", ""});
  std::vector<std::shared_ptr<Block>> blocks;
  FakeJsThread jsThread([&](Message& message) {
    blocks.push_back(message.batch->block());
    Answer answer = answerOf(Verdict::cont);
    answer.keepsNothing = true;
    if (blocks.size() > 1) message.session->pendingReply().answer(message.question, answer);
  });
  shared.dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
  const auto session = std::make_shared<Session>(shared, std::make_unique<FakeMta>());
  NegotiatedOptions options = deferring();
  options.asked &= ~bit(Step::envfrom);
  session->adopt(options);
  session->handle(Step::envfrom);
  shared.settings.setAnswerTimeout(20);  // of the first batch
  const auto body = [&] {
    session->handle(Step::body, [](Batch& batch, Event&) { batch.addArgument(std::string(65'535, 'x')); });
  };
  for (int i = 0; i < 5; ++i) body();
  shared.settings.setAnswerTimeout(60'000);
  for (int i = 0; i < 5; ++i) body();
  session->handle(Step::eom);
  CHECK(blocks.size() >= 2 && blocks[0] != blocks[1]);
}

void keepsWhatABatchHasWhenItGrows() {
  Batch batch;
  std::vector<std::string> texts;
  for (size_t length : {0, 1, 300, 5'000, 40'000, 65'535, 400'000}) {
    texts.emplace_back(length, static_cast<char>('a' + texts.size()));
    batch.addEvent(Step::body);
    batch.addArgument(texts.back());
  }
  size_t total = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    CHECK(batch.argument(batch.events()[i], 0) == texts[i]);
    total += texts[i].size();
  }
  CHECK(batch.bytes() == total && batch.memory() >= total);
}

}  // namespace

int main() {
  asksOnceForAMessage();
  countsWhatTheBatchesTake();
  collectsNothingWhileAllSessionsHoldTooMuch();
  countsABatchWhileItsHandlersAreSlow();
  releasesTheChunksBeforeTheLastHandlerAnswers();
  handsOverAFullBatch();
  handsOverAnOldBatch();
  defersAnEarlyVerdict();
  skipsWhatIsLeftOfAStep();
  skipsForAnMtaThatDoesNotKnowIt();
  bringsThePendingBatchToEomAndAbort();
  keepsTheVerdictOfASilentStep();
  asksOnceAMessageForMacrosThatLast();
  neverLeavesTheMtaWithoutReply();
  countsMessages();
  refusesNewMessagesWhileItDrains();
  closesOnceAndOnlyWhatWasKnown();
  followsThePolicyWhenNobodyAnswers();
  negotiates();
  usesMemoryAgainOnlyWithinAMessage();
  usesMemoryOfTextsAgain();
  leavesMemoryToHandlersThatMayKeepIt();
  leavesMemoryToHandlersThatAreStillRunning();
  keepsWhatABatchHasWhenItGrows();
}
