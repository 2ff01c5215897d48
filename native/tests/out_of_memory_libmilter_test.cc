// Every single allocation of a session's callbacks fails once, with the real libmilter. No callback may end
// the process, every command must be answered, and a message that lost an event must be refused for now.
#include <unistd.h>

#include <cstdlib>
#include <new>

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"
#include "fake_js_thread.h"
#include "peer.h"

namespace {

// Set on the threads of the test, so that only the allocations of libmilter's threads are counted.
thread_local bool exempt = false;
constexpr int kNone = 0;
std::atomic<int> allocationsLeft{kNone};  // the one that makes this 0 fails

// The end of the session before may allocate at the same time.
bool fails() {
  if (exempt) return false;
  int left = allocationsLeft.load();
  while (left != kNone && !allocationsLeft.compare_exchange_weak(left, left - 1)) continue;
  return left == 1;
}

}  // namespace

// Not inlined: where GCC 14 sees into delete but not into new, it warns of free() for memory from new.
[[gnu::noinline]] void* operator new(size_t size) {
  void* const memory = fails() ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace milter;
using namespace milter::test;

namespace {

// Accepts everything, with header, eoh and body deferred.
void answerAll(Message& message) {
  Answer answer;
  answer.options.actions = 0x1ff;
  answer.options.protocol = kProtocolSkip | 0x80 | 0x40000;  // no reply for header and eoh
  answer.options.deferred = kDeferrableSteps;
  answer.options.silent = bit(Step::header) | bit(Step::eoh);
  message.session->pendingReply().answer(message.question, answer);
}

// The last answer of a session with one message: the first one that is not CONTINUE, or the answer to the
// end.
char converse(const std::string& path, bool aborts) {
  Peer peer(path);
  if (!peer.negotiate()) return 0;
  char answer = peer.ask('C', z("client.test") + "U");
  if (answer == 'c') answer = peer.ask('H', z("client.test"));
  if (answer == 'c') answer = peer.ask('M', z("<a@src.test>"));
  if (answer == 'c') answer = peer.ask('R', z("<b@dest.test>"));
  if (answer == 'c' && aborts) {
    peer.send('A');
    answer = peer.ask('M', z("<a@src.test>"));
  } else if (answer == 'c') {
    answer = peer.ask('T');
    if (answer == 'c') {
      for (int i = 0; i < 20; ++i)
        peer.send('L', z("Subject") + z("a value that is too long for a short string"));
      peer.send('N');
      answer = peer.ask('B', std::string(40'000, 'x'));
    }
    if (answer == 'c') answer = peer.ask('E');
  }
  peer.send('Q');
  return answer;
}

// Fails the first allocation, then the second, until a session needs no more; returns how many there were.
int failOneByOne(const std::string& path, bool aborts) {
  for (int n = 1;; ++n) {
    allocationsLeft = n;
    const char answer = converse(path, aborts);
    const bool failed = allocationsLeft.exchange(kNone) == kNone;
    if (!failed) {
      CHECK(answer == 'c');
      return n - 1;
    }
    CHECK(answer == 't' || answer == 'c');  // a negotiation or a close loses no event
    CHECK(converse(path, aborts) == 'c');
  }
}

}  // namespace

int main() {
  exempt = true;
  char directory[] = "/tmp/milter-test-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/sock";
  FakeJsThread jsThread(answerAll, [] { exempt = true; });
  Process& process = Process::get();
  CHECK(process.registerFilter("test", 0x1ff));
  CHECK(!process.openSocket("unix:" + path, {}));
  CHECK(process.reserve() == StartResult::ready);
  process.sharedState().dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
  process.start(jsThread.queue());
  waitUntil("the start", [&] { return jsThread.count("ready") == 1; });

  CHECK(failOneByOne(path, false) > 20);
  CHECK(failOneByOne(path, true) > 10);
  CHECK(process.sharedState().interruptions.of(Interruption::noMemory) > 10);

  process.stop(std::chrono::seconds(5));
  waitUntil("the end", [&] { return jsThread.count("stopped") == 1; });
  rmdir(directory);
  jsThread.queue()->close();
  // Threads of libmilter may still run, so nothing they use is destroyed (R7).
  std::_Exit(0);
}
