// The real libmilter under many sessions at once, with a thread that stands for the JS one: what
// ThreadSanitizer is to see. Sessions end well, hang up anywhere and abort; then the filter stops while
// sessions come.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "bridge/process.h"
#include "bridge/session.h"
#include "check.h"
#include "fake_js_thread.h"

using namespace milter;
using namespace milter::test;

namespace {

std::string socketPath;

// An MTA's end of one connection. Every call is false once the filter has hung up.
class Peer {
 public:
  Peer() : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socketPath.c_str(), sizeof address.sun_path - 1);
    // libmilter leaves connections that wait for it at a stop open until the process ends: no peer waits that
    // long.
    const timeval timeout{3, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    open_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool send(char command, const std::string& data = "") {
    const uint32_t length = htonl(static_cast<uint32_t>(data.size() + 1));
    std::string frame(reinterpret_cast<const char*>(&length), 4);
    frame += command + data;
    return open_ &&
           ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(frame.size());
  }
  // The answer's command; modifications and progress are read over. 0 where there is none.
  char answer() {
    for (;;) {
      uint32_t length = 0;
      if (!read(reinterpret_cast<char*>(&length), 4)) return 0;
      std::string frame(ntohl(length), '\0');
      if (!read(frame.data(), frame.size())) return 0;
      if (std::strchr("hp", frame[0]) == nullptr) return frame[0];
    }
  }
  char ask(char command, const std::string& data = "") { return send(command, data) ? answer() : '\0'; }
  bool negotiate() {
    const uint32_t words[] = {htonl(6), htonl(0x1ff), htonl(0x1fffff)};
    return ask('O', std::string(reinterpret_cast<const char*>(words), sizeof words)) == 'O';
  }

 private:
  bool read(char* to, size_t length) {
    while (length > 0) {
      const ssize_t n = ::read(fd_, to, length);
      if (n <= 0) return false;
      to += n;
      length -= static_cast<size_t>(n);
    }
    return true;
  }
  const int fd_;
  bool open_;
};

std::string z(const char* text) { return std::string(text) + '\0'; }

// One session: `messages` of them, the last of which ends at `hangUp` steps (none where negative).
void converse(int messages, int hangUp) {
  Peer peer;
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
      if (leaves() || !peer.send('L', z("Subject") + z("of no account"))) return;
    }
    if (!peer.send('N')) return;
    if (leaves() || peer.ask('B', std::string(5'000, 'x')) != 'c') return;
    if (leaves() || peer.ask('E') == 0) return;
  }
  peer.send(messages % 2 ? 'Q' : 'K');
}

// A JS thread of many moods: it modifies, reads macros, gives progress, and is late now and then.
void responder(Message& message) {
  static std::atomic<unsigned> count{0};
  const unsigned number = ++count;
  PendingReply& pendingReply = message.session->pendingReply();
  Answer answer;
  if (message.batch.events().front().step == Step::negotiate) {
    answer.options.actions = 0x1ff;
    answer.options.protocol = 0x400 | 0x80 | 0x40000;  // SKIP; no reply for header and eoh
    answer.options.deferred = kDeferrable;
    answer.options.silent = bit(Step::header) | bit(Step::eoh);
  }
  message.session->withMta(message.question, [](Mta& mta) { mta.getsymval("i"); });
  if (message.batch.events().back().step == Step::eom) {
    if (number % 3 == 0) pendingReply.queue(message.question, action(Action::Kind::progress, ""));
    Action header = action(Action::Kind::addheader, "X-Seen");
    header.second = "yes";
    pendingReply.queue(message.question, std::move(header));
    if (number % 7 == 0) {
      message.session->withMta(message.question, [](Mta& mta) {
        mta.setreply("550", "5.7.1", {"no", "really not"});
      });
      answer.verdict = Verdict::reject;
    }
  }
  if (number % 50 == 0) std::this_thread::sleep_for(milliseconds(15));  // long enough for the watchdog
  pendingReply.answer(message.question, std::move(answer));
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
  CHECK(process.reserve() == Process::StartResult::ready);
  CHECK(process.reserve() == Process::StartResult::inUse);
  process.shared().dispatcher.add(jsThread.queue(), Dispatcher::Role::serving);
  process.start(jsThread.queue());

  std::vector<std::thread> clients;
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back([i] {
      for (int round = 0; round < 6; ++round) converse(5, round % 2 ? (i + round) % 11 : -1);
    });
  }
  for (std::thread& client : clients) client.join();
  clients.clear();
  CHECK(jsThread.count("negotiate") == 72);

  // Stopped while sessions come and go.
  std::atomic<bool> over{false};
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back([&over] {
      while (!over) converse(2, -1);
    });
  }
  std::this_thread::sleep_for(milliseconds(50));
  process.stop(std::chrono::seconds(5));
  waitUntil("the end", [&] { return !process.isRunning(); });
  waitUntil("the message `stopped`", [&] { return jsThread.count("message 5") == 1; });
  over = true;
  for (std::thread& client : clients) client.join();
  CHECK(access(socketPath.c_str(), F_OK) != 0);
  CHECK(process.reserve() == Process::StartResult::alreadyRun);
  rmdir(directory);
  jsThread.queue()->close();
  // Threads of libmilter may still be about: nothing they touch is taken down (R7).
  std::_Exit(0);
}
