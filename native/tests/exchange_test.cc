// The meeting of the asking and the answering thread, in good and bad orders.
#include "bridge/exchange.h"

#include "check.h"

using namespace milter;
using namespace milter::test;

namespace {

constexpr milliseconds kLong{20'000};

// Asks once on a thread of its own.
struct Asker {
  Asker(Exchange& exchange, Mta& mta, Traffic& traffic, milliseconds patience = kLong)
      : question(exchange.open(patience)),
        thread([&exchange, &mta, &traffic, this] { result = exchange.await(mta, traffic); }) {}
  ~Asker() {
    if (thread.joinable()) thread.join();
  }
  Exchange::Result& done() {
    thread.join();
    return result;
  }
  const uint32_t question;
  Exchange::Result result{Exchange::Outcome::expired, {}};
  std::thread thread;
};

void answersOnce() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  Asker asker(exchange, mta, traffic);
  CHECK(!exchange.answer(asker.question + 1, answerOf(Verdict::reject)));  // not the open one
  CHECK(exchange.answer(asker.question, answerOf(Verdict::discard)));
  CHECK(!exchange.answer(asker.question, answerOf(Verdict::accept)));  // R6
  Exchange::Result& result = asker.done();
  CHECK(result.outcome == Exchange::Outcome::answered);
  CHECK(result.answer.verdict == Verdict::discard);
  CHECK(!exchange.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(!exchange.queue(asker.question, action(Action::Kind::addheader, "late")));
  CHECK(!exchange.extend(asker.question));
}

void answersBeforeTheWait() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  const uint32_t question = exchange.open(kLong);
  CHECK(exchange.answer(question, answerOf(Verdict::accept)));
  CHECK(exchange.await(mta, traffic).answer.verdict == Verdict::accept);
}

void expiresAndForgets() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  const uint32_t first = exchange.open(milliseconds(20));
  CHECK(exchange.queue(first, action(Action::Kind::addheader, "of a message that is lost")));
  CHECK(exchange.await(mta, traffic).outcome == Exchange::Outcome::expired);
  CHECK(!exchange.answer(first, answerOf(Verdict::accept)));
  const uint32_t second = exchange.open(kLong);
  CHECK(second != first);
  CHECK(!exchange.answer(first, answerOf(Verdict::accept)));  // late, while another is open
  CHECK(exchange.answer(second, answerOf(Verdict::cont)));
  CHECK(exchange.await(mta, traffic).outcome == Exchange::Outcome::answered);
  CHECK(mta.performed().empty());
}

void extendsTheDeadline() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  const auto begin = Exchange::Clock::now();
  constexpr milliseconds kPatience{200};
  Asker asker(exchange, mta, traffic, kPatience);
  std::this_thread::sleep_for(kPatience / 2);
  const bool extended = exchange.extend(asker.question);
  CHECK(asker.done().outcome == Exchange::Outcome::expired);
  if (extended) CHECK(Exchange::Clock::now() - begin >= kPatience + kPatience / 2);
}

void isReleased() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  Asker asker(exchange, mta, traffic);
  exchange.release();
  CHECK(asker.done().outcome == Exchange::Outcome::released);
  CHECK(!exchange.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(exchange.open(kLong) == Exchange::kReleased);
}

void keepsAnAnswerThatCameBeforeTheRelease() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  const uint32_t question = exchange.open(kLong);
  CHECK(exchange.answer(question, answerOf(Verdict::discard)));
  exchange.release();
  const Exchange::Result result = exchange.await(mta, traffic);
  CHECK(result.outcome == Exchange::Outcome::answered && result.answer.verdict == Verdict::discard);
}

void performsInOrderBeforeItReturns() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  Asker asker(exchange, mta, traffic);
  for (const char* name : {"a", "b", "c"})
    CHECK(exchange.queue(asker.question, action(Action::Kind::addheader, name)));
  CHECK(mta.performed().empty());  // not before the answer
  CHECK(exchange.queue(asker.question, action(Action::Kind::progress, "progress")));
  eventually("progress at once", [&] { return mta.performed() == std::vector<std::string>{"progress"}; });
  CHECK(exchange.answer(asker.question, answerOf(Verdict::cont)));
  CHECK(asker.done().outcome == Exchange::Outcome::answered);
  CHECK((mta.performed() == std::vector<std::string>{"progress", "a", "b", "c"}));
}

void stopsAtAFailedWrite() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  mta.failAt = 1;
  Asker asker(exchange, mta, traffic);
  for (const char* name : {"a", "b", "c"})
    CHECK(exchange.queue(asker.question, action(Action::Kind::addheader, name)));
  CHECK(exchange.answer(asker.question, answerOf(Verdict::accept)));
  CHECK(asker.done().outcome == Exchange::Outcome::writeFailed);
  CHECK((mta.performed() == std::vector<std::string>{"a"}));
}

void endsWithAFailedProgress() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  mta.failAt = 0;
  Asker asker(exchange, mta, traffic);
  CHECK(exchange.queue(asker.question, action(Action::Kind::progress, "")));
  CHECK(asker.done().outcome == Exchange::Outcome::writeFailed);
  CHECK(!exchange.answer(asker.question, answerOf(Verdict::accept)));
}

// R2: a write that hangs keeps neither the answer nor the other calls of the JS thread waiting.
void doesNotHoldTheLockWhileItWrites() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  std::atomic<bool> writing{false};
  std::atomic<bool> open{false};
  mta.gate = [&] {
    writing = true;
    eventually("the gate", [&] { return open.load(); });
  };
  Asker asker(exchange, mta, traffic);
  CHECK(exchange.queue(asker.question, action(Action::Kind::progress, "")));
  eventually("the write", [&] { return writing.load(); });
  bool seen = false;
  CHECK(exchange.withMta(asker.question, mta, [&](Mta& held) { seen = held.getsymval("i") != nullptr; }) &&
        seen);
  CHECK(exchange.answer(asker.question, answerOf(Verdict::reject)));
  open = true;
  CHECK(asker.done().answer.verdict == Verdict::reject);
}

void tellsOfASlowAnswer() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  Asker asker(exchange, mta, traffic);
  traffic.awaitSlow();
  CHECK(exchange.answer(asker.question, answerOf(Verdict::cont)));
  CHECK(asker.done().outcome == Exchange::Outcome::answered);
}

// Many threads at one exchange: each question gets exactly one answer, whoever was first.
void isHammered() {
  Exchange exchange;
  FakeMta mta;
  Traffic traffic;
  std::atomic<uint32_t> open{0};
  std::atomic<bool> over{false};
  std::atomic<int> accepted{0};
  std::vector<std::thread> answerers;
  for (int i = 0; i < 3; ++i) {
    answerers.emplace_back([&] {
      while (!over) {
        const uint32_t question = open;
        exchange.queue(question, action(Action::Kind::progress, "p"));
        exchange.extend(question);
        exchange.withMta(question, mta, [](Mta& held) { held.setreply("550", nullptr, {"x"}); });
        if (exchange.answer(question, answerOf(Verdict::cont))) ++accepted;
      }
    });
  }
  constexpr int kQuestions = 2'000;
  int answered = 0;
  for (int i = 0; i < kQuestions; ++i) {
    open = exchange.open(kLong);
    if (exchange.await(mta, traffic).outcome == Exchange::Outcome::answered) ++answered;
  }
  over = true;
  for (std::thread& thread : answerers) thread.join();
  CHECK(answered == kQuestions && accepted == kQuestions);
}

void isReleasedWhileItAsks() {
  for (int i = 0; i < 200; ++i) {
    Exchange exchange;
    FakeMta mta;
    Traffic traffic;
    std::thread releaser([&] { exchange.release(); });
    const uint32_t question = exchange.open(kLong);
    if (question != Exchange::kReleased)
      CHECK(exchange.await(mta, traffic).outcome == Exchange::Outcome::released);
    releaser.join();
  }
}

}  // namespace

int main() {
  answersOnce();
  answersBeforeTheWait();
  expiresAndForgets();
  extendsTheDeadline();
  isReleased();
  keepsAnAnswerThatCameBeforeTheRelease();
  performsInOrderBeforeItReturns();
  stopsAtAFailedWrite();
  endsWithAFailedProgress();
  doesNotHoldTheLockWhileItWrites();
  tellsOfASlowAnswer();
  isHammered();
  isReleasedWhileItAsks();
}
