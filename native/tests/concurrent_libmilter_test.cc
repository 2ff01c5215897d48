// The real libmilter with many sessions at once and a fake JS thread, for ThreadSanitizer. Sessions end
// properly, hang up in any step, and abort; then the filter stops while sessions begin.
#include <unistd.h>

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"
#include "fake_js_thread.h"
#include "peer.h"

using namespace milter;
using namespace milter::test;

namespace {

std::string socketPath;

// One session with `messages` messages. The last one hangs up in its `hangUp`th step, if that is not
// negative.
void converse(int messages, int hangUp) {
  Peer peer(socketPath);
  if (!peer.negotiate()) return;
  if (peer.ask('C', z("client.test") + "U") != 'c') return;
  if (peer.ask('H', z("client.test")) != 'c') return;
  for (int i = 0; i < messages; ++i) {
    const bool last = i == messages - 1;
    int step = 0;
    const auto leaves = [&] { return last && hangUp >= 0 && step++ == hangUp; };
    if (leaves() || peer.ask('M', z("<a@src.test>")) != 'c') return;
    if (leaves() || peer.ask('R', z("<b@dest.test>")) != 'c') return;
    if (i % 5 == 4) {
      if (!peer.send('A')) return;
      continue;
    }
    if (leaves() || peer.ask('T') != 'c') return;
    for (int n = 0; n < 5; ++n) {
      if (leaves() || !peer.send('L', z("Subject") + z("any value"))) return;
    }
    if (!peer.send('N')) return;
    if (leaves() || peer.ask('B', std::string(5'000, 'x')) != 'c') return;
    if (leaves() || peer.ask('E') == 0) return;
  }
  peer.send(messages % 2 ? 'Q' : 'K');
}

// Answers like a JS thread with various handlers: it modifies, reads macros, reports progress, and is late
// sometimes.
void responder(Message& message) {
  static std::atomic<unsigned> count{0};
  const unsigned number = ++count;
  PendingReply& pendingReply = message.session->pendingReply();
  Answer answer;
  if (message.batch->events().front().step == Step::negotiate) {
    answer.options.actions = 0x1ff;
    answer.options.protocol = 0x400 | 0x80 | 0x40000;  // SKIP; no reply for header and eoh
    answer.options.deferred = kDeferrableSteps;
    answer.options.silent = bit(Step::header) | bit(Step::eoh);
  }
  message.session->withMta(message.question, [](Mta& mta) { mta.getsymval("i"); });
  if (message.batch->events().back().step == Step::eom) {
    if (number % 3 == 0) pendingReply.queue(message.question, action(ActionKind::progress, ""));
    Action header = action(ActionKind::addheader, "X-Seen");
    header.second = "yes";
    pendingReply.queue(message.question, std::move(header));
    if (number % 7 == 0) {
      message.session->withMta(message.question,
                               [](Mta& mta) { mta.setreply({"550", "5.7.1", {"no", "really not"}}); });
      answer.verdict = Verdict::reject;
    }
  }
  if (number % 50 == 0) std::this_thread::sleep_for(milliseconds(15));  // long enough for the watchdog
  pendingReply.answer(message.question, answer);
}

}  // namespace

int main() {
  char directory[] = "/tmp/milter-test-XXXXXX";
  CHECK(mkdtemp(directory) != nullptr);
  socketPath = std::string(directory) + "/sock";
  FakeJsThread jsThread(responder);
  Process& process = Process::get();
  CHECK(process.registerFilter("test", 0x1ff));
  CHECK(!process.openSocket("unix:" + socketPath, {}));
  CHECK(process.reserve() == StartResult::ready);
  CHECK(process.reserve() == StartResult::inUse);
  process.sharedState().dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
  process.start(jsThread.queue());

  std::vector<std::thread> clients;
  clients.reserve(12);
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([i] {
      for (int round = 0; round < 6; ++round) converse(5, round % 2 ? (i + round) % 11 : -1);
    });
  }
  for (std::thread& client : clients) client.join();
  clients.clear();
  CHECK(jsThread.count("negotiate") == 72);

  // Stops while sessions begin and end.
  std::atomic<bool> over{false};
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&over] {
      while (!over) converse(2, -1);
    });
  }
  std::this_thread::sleep_for(milliseconds(50));
  process.stop(std::chrono::seconds(5));
  waitUntil("the end", [&] { return !process.isRunning(); });
  waitUntil("the message `stopped`", [&] { return jsThread.count("stopped") == 1; });
  over = true;
  for (std::thread& client : clients) client.join();
  CHECK(access(socketPath.c_str(), F_OK) != 0);
  CHECK(process.reserve() == StartResult::alreadyRun);
  rmdir(directory);
  jsThread.queue()->close();
  // Threads of libmilter may still run, so nothing they use is destroyed (R7).
  std::_Exit(0);
}
