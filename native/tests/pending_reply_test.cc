// The asking and the answering thread, in every order of their calls.
#include "bridge/pending_reply.h"

#include "check.h"

using namespace milter;
using namespace milter::test;

namespace {

constexpr milliseconds kLong{20'000};

// Asks one question on a thread of its own.
struct Asker {
  Asker(PendingReply& pendingReply, Mta& mta, InFlight& inFlight, milliseconds timeout = kLong)
      : question(pendingReply.open(timeout)),
        thread([&pendingReply, &mta, &inFlight, this] { result = pendingReply.await(mta, inFlight); }) {}
  ~Asker() {
    if (thread.joinable()) thread.join();
  }
  PendingReply::Result& done() {
    thread.join();
    return result;
  }
  const uint32_t question;
  PendingReply::Result result{PendingReply::Outcome::expired, {}};
  std::thread thread;
};

void answersOnce() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  Asker asker(pendingReply, mta, inFlight);
  CHECK(!pendingReply.answer(asker.question + 1, answerOf(Verdict::reject)));  // not the open one
  CHECK(pendingReply.answer(asker.question, answerOf(Verdict::discard)));
  CHECK(!pendingReply.answer(asker.question, answerOf(Verdict::accept)));  // R6
  PendingReply::Result& result = asker.done();
  CHECK(result.outcome == PendingReply::Outcome::answered);
  CHECK(result.answer.verdict == Verdict::discard);
  CHECK(!pendingReply.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(!pendingReply.queue(asker.question, action(ActionKind::addheader, "late")));
  CHECK(!pendingReply.resetDeadline(asker.question));
}

void answersBeforeTheWait() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  const uint32_t question = pendingReply.open(kLong);
  CHECK(pendingReply.answer(question, answerOf(Verdict::accept)));
  CHECK(pendingReply.await(mta, inFlight).answer.verdict == Verdict::accept);
}

void expiresAndForgets() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  const uint32_t first = pendingReply.open(milliseconds(20));
  CHECK(pendingReply.queue(first, action(ActionKind::addheader, "of an expired question")));
  CHECK(pendingReply.await(mta, inFlight).outcome == PendingReply::Outcome::expired);
  CHECK(!pendingReply.answer(first, answerOf(Verdict::accept)));
  const uint32_t second = pendingReply.open(kLong);
  CHECK(second != first);
  CHECK(!pendingReply.answer(first, answerOf(Verdict::accept)));  // late, while another is open
  CHECK(pendingReply.answer(second, answerOf(Verdict::cont)));
  CHECK(pendingReply.await(mta, inFlight).outcome == PendingReply::Outcome::answered);
  CHECK(mta.performed().empty());
}

void resetsTheDeadline() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  const auto begin = PendingReply::Clock::now();
  constexpr milliseconds kTimeout{200};
  Asker asker(pendingReply, mta, inFlight, kTimeout);
  std::this_thread::sleep_for(kTimeout / 2);
  const bool resetDone = pendingReply.resetDeadline(asker.question);
  CHECK(asker.done().outcome == PendingReply::Outcome::expired);
  if (resetDone) CHECK(PendingReply::Clock::now() - begin >= kTimeout + kTimeout / 2);
}

void isReleased() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  Asker asker(pendingReply, mta, inFlight);
  pendingReply.release();
  CHECK(asker.done().outcome == PendingReply::Outcome::released);
  CHECK(!pendingReply.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(pendingReply.open(kLong) == PendingReply::kReleased);
}

void keepsAnAnswerThatCameBeforeTheRelease() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  const uint32_t question = pendingReply.open(kLong);
  CHECK(pendingReply.answer(question, answerOf(Verdict::discard)));
  pendingReply.release();
  const PendingReply::Result result = pendingReply.await(mta, inFlight);
  CHECK(result.outcome == PendingReply::Outcome::answered && result.answer.verdict == Verdict::discard);
}

void performsInOrderBeforeItReturns() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  Asker asker(pendingReply, mta, inFlight);
  for (const char* name : {"a", "b", "c"})
    CHECK(pendingReply.queue(asker.question, action(ActionKind::addheader, name)));
  CHECK(mta.performed().empty());  // not before the answer
  CHECK(pendingReply.queue(asker.question, action(ActionKind::progress, "progress")));
  waitUntil("progress at once", [&] { return mta.performed() == std::vector<std::string>{"progress"}; });
  CHECK(pendingReply.answer(asker.question, answerOf(Verdict::cont)));
  CHECK(asker.done().outcome == PendingReply::Outcome::answered);
  CHECK((mta.performed() == std::vector<std::string>{"progress", "a", "b", "c"}));
}

void stopsAtAFailedWrite() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  mta.failAt = 1;
  Asker asker(pendingReply, mta, inFlight);
  for (const char* name : {"a", "b", "c"})
    CHECK(pendingReply.queue(asker.question, action(ActionKind::addheader, name)));
  CHECK(pendingReply.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(asker.done().outcome == PendingReply::Outcome::writeFailed);
  CHECK((mta.performed() == std::vector<std::string>{"a"}));
}

void endsWithAFailedProgress() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  mta.failAt = 0;
  Asker asker(pendingReply, mta, inFlight);
  CHECK(pendingReply.queue(asker.question, action(ActionKind::progress, "")));
  CHECK(asker.done().outcome == PendingReply::Outcome::writeFailed);
  CHECK(!pendingReply.answer(asker.question, answerOf(Verdict::accept)));
}

// R2: while a write hangs, the JS thread can answer and make its other calls.
void doesNotHoldTheLockWhileItWrites() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  std::atomic<bool> writing{false};
  std::atomic<bool> open{false};
  mta.gate = [&] {
    writing = true;
    waitUntil("the gate", [&] { return open.load(); });
  };
  Asker asker(pendingReply, mta, inFlight);
  CHECK(pendingReply.queue(asker.question, action(ActionKind::progress, "")));
  waitUntil("the write", [&] { return writing.load(); });
  bool seen = false;
  CHECK(pendingReply.withMta(asker.question, mta, [&](Mta& held) {
    seen = held.getsymval("i") != nullptr;
  }) && seen);
  CHECK(pendingReply.answer(asker.question, answerOf(Verdict::reject)));
  open = true;
  CHECK(asker.done().answer.verdict == Verdict::reject);
}

void reportsASlowAnswer() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  Asker asker(pendingReply, mta, inFlight);
  CHECK(inFlight.awaitSlow(std::chrono::minutes(1)));
  CHECK(!inFlight.awaitSlow(std::chrono::milliseconds(1)));  // it is told once
  CHECK(pendingReply.answer(asker.question, answerOf(Verdict::cont)));
  CHECK(asker.done().outcome == PendingReply::Outcome::answered);
}

// Many threads answer the same questions: each question gets exactly one answer.
void takesOneAnswerFromManyThreads() {
  PendingReply pendingReply;
  FakeMta mta;
  InFlight inFlight;
  std::atomic<uint32_t> open{0};
  std::atomic<bool> over{false};
  std::atomic<int> accepted{0};
  std::vector<std::thread> answerers;
  answerers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    answerers.emplace_back([&] {
      while (!over) {
        const uint32_t question = open;
        pendingReply.queue(question, action(ActionKind::progress, "p"));
        pendingReply.resetDeadline(question);
        pendingReply.withMta(question, mta, [](Mta& held) { held.setreply({"550", "", {"x"}}); });
        if (pendingReply.answer(question, answerOf(Verdict::cont))) ++accepted;
      }
    });
  }
  constexpr int kQuestions = 2'000;
  int answered = 0;
  for (int i = 0; i < kQuestions; ++i) {
    open = pendingReply.open(kLong);
    if (pendingReply.await(mta, inFlight).outcome == PendingReply::Outcome::answered) ++answered;
  }
  over = true;
  for (std::thread& thread : answerers) thread.join();
  CHECK(answered == kQuestions && accepted == kQuestions);
}

void isReleasedWhileItAsks() {
  for (int i = 0; i < 200; ++i) {
    PendingReply pendingReply;
    FakeMta mta;
    InFlight inFlight;
    std::thread releaser([&] { pendingReply.release(); });
    const uint32_t question = pendingReply.open(kLong);
    if (question != PendingReply::kReleased)
      CHECK(pendingReply.await(mta, inFlight).outcome == PendingReply::Outcome::released);
    releaser.join();
  }
}

}  // namespace

int main() {
  answersOnce();
  answersBeforeTheWait();
  expiresAndForgets();
  resetsTheDeadline();
  isReleased();
  keepsAnAnswerThatCameBeforeTheRelease();
  performsInOrderBeforeItReturns();
  stopsAtAFailedWrite();
  endsWithAFailedProgress();
  doesNotHoldTheLockWhileItWrites();
  reportsASlowAnswer();
  takesOneAnswerFromManyThreads();
  isReleasedWhileItAsks();
}
