// The rules of a session, as test/vectors/session.txt has them; the simulator in lib/testing runs through the
// same.
#include <atomic>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "bridge/session.h"
#include "bridge/shared_state.h"
#include "check.h"
#include "fake_js_thread.h"

using namespace milter;
using namespace milter::test;

namespace {

const std::map<std::string, Verdict> kVerdicts = {
    {"continue", Verdict::cont}, {"reject", Verdict::reject},     {"discard", Verdict::discard},
    {"accept", Verdict::accept}, {"tempfail", Verdict::tempfail}, {"noreply", Verdict::noreply},
    {"skip", Verdict::skip},
};

struct Handler {
  Verdict verdict = Verdict::cont;
  std::string reply;  // a code and a text
};

Step stepNamed(const std::string& name) {
  for (unsigned i = 0; i < kStepCount; ++i) {
    if (name == kStepNames[i]) return static_cast<Step>(i);
  }
  std::fprintf(stderr, "no such step: %s\n", name.c_str());
  std::_Exit(1);
}

// "all", or names with commas in between.
StepMask maskOf(const std::string& list) {
  if (list == "all") return (StepMask{1} << kStepCount) - 1;
  StepMask mask = 0;
  std::istringstream names(list);
  for (std::string name; std::getline(names, name, ',');) mask |= bit(stepNamed(name));
  return mask;
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// A session, and a JS thread that calls the handlers of a vector as lib/session/session.ts does.
class Scene {
 public:
  Scene()
      : jsThread_([this](Message& message) { answer(message); }, [] {},
                  [this](Message& message) { close(message); }) {
    shared_.settings.setMaxBatchAge(std::chrono::hours(1));
    shared_.dispatcher.add(jsThread_.queue(), Dispatcher::Role::serving);
    auto mta = std::make_unique<FakeMta>();
    mta_ = mta.get();
    session_ = std::make_shared<Session>(shared_, std::move(mta));
  }

  void setOptions(std::istringstream& words) {
    NegotiatedOptions options;
    for (std::string word; words >> word;) {
      const std::string list = word.substr(word.find('=') + 1);
      if (word == "skip") options.protocol = kProtocolSkip;
      if (word.rfind("asked=", 0) == 0) options.asked = maskOf(list);
      if (word.rfind("deferred=", 0) == 0) options.deferred = maskOf(list);
      if (word.rfind("silent=", 0) == 0) options.silent = maskOf(list);
    }
    options.macros = std::make_shared<const MacroNames>(MacroNames{{}, {"i"}});
    deferred_ = options.deferred;
    session_->adopt(options);
  }

  // The macro i, for which every handler asks from now on.
  void setMacro(std::istringstream& words) {
    asksMacro_ = true;
    words >> mta_->queueId;
  }

  void setHandler(std::istringstream& words) {
    std::string step;
    std::string verdict;
    std::string reply;
    words >> step >> verdict;
    std::getline(words, reply);
    handlers_[stepNamed(step)] = {kVerdicts.at(verdict), trimmed(reply)};
  }

  // Runs the event of a line, and returns the line as it should have been.
  std::string run(const std::string& event) {
    called_.clear();
    mta_->reply.clear();
    if (event == "close") {
      session_->close();
      waitUntil("the close handler", [this] { return closed_.load(); });
      return "close |" + called_;
    }
    const size_t colon = event.find(':');
    const size_t bytes = colon == std::string::npos ? 0 : std::stoul(event.substr(colon + 1));
    const Verdict verdict = session_->handle(stepNamed(event.substr(0, colon)), [&](Batch& batch, Event&) {
      batch.addArgument(std::string(bytes, 'x'));
    });
    std::string line = event;
    for (const auto& [name, value] : kVerdicts) {
      if (value == verdict) line += " " + name;
    }
    if (!called_.empty() || !mta_->reply.empty()) line += " |" + called_;
    if (!mta_->reply.empty()) line += " | reply " + mta_->reply;
    return line;
  }

 private:
  void close(Message& message) {
    if (message.batch) runHandlers(message);
    called_ += " close";
    closed_ = true;
  }

  void answer(Message& message) {
    message.session->pendingReply().answer(message.question, runHandlers(message));
  }

  // The first verdict other than CONTINUE ends the question; SKIP ends a step within it. A collected step
  // outside of a message has no verdict.
  Answer runHandlers(const Message& message) {
    Answer answer;
    Verdict verdict = Verdict::cont;
    StepMask skipped = 0;
    const std::vector<Event>& events = message.batch->events();
    for (size_t i = 0; i < events.size(); ++i) {
      const Step step = events[i].step;
      const bool last = i + 1 == events.size();
      verdict = (skipped & bit(step)) != 0 ? Verdict::skip : call(message, events[i]);
      if ((deferred_ & ~kTransactionSteps & bit(step)) != 0) verdict = Verdict::cont;
      answer = answerOf(verdict);
      answer.beforeLast = !last;
      if (verdict == Verdict::skip && !last) skipped |= bit(step);
      const bool goesOn = verdict == Verdict::cont || verdict == Verdict::noreply || verdict == Verdict::skip;
      if (!goesOn) break;
    }
    return answer;
  }

  Verdict call(const Message& message, const Event& event) {
    const Step step = event.step;
    called_ += std::string(" ") + kStepNames[static_cast<unsigned>(step)];
    if (asksMacro_) called_ += "=" + macroOf(message, event);
    const Handler& handler = handlers_[step];
    if (!handler.reply.empty()) {
      const size_t space = handler.reply.find(' ');
      const SmtpReply reply{handler.reply.substr(0, space), "", {handler.reply.substr(space + 1)}};
      message.session->withMta(message.question, [&](Mta&) { message.session->setreply(reply); });
    }
    return step == Step::abort ? Verdict::cont : handler.verdict;
  }

  // What getsymval says in the event's handler, as in lib/session/session.ts.
  std::string macroOf(const Message& message, const Event& event) {
    if (!event.withMacros) return mta_->queueId;
    // i, NUL, the value, NUL; nothing if the MTA had not sent it.
    const std::string_view kept = message.batch->argument(event, 0);
    return kept.empty() ? "" : std::string(kept.substr(2, kept.size() - 3));
  }

  SharedState shared_;
  // Used by the JS thread while the session is parked, and by this one otherwise.
  std::map<Step, Handler> handlers_;
  std::string called_;
  StepMask deferred_ = 0;
  bool asksMacro_ = false;
  std::atomic<bool> closed_{false};
  FakeJsThread jsThread_;
  FakeMta* mta_ = nullptr;
  std::shared_ptr<Session> session_;
};

}  // namespace

int main() {
  std::ifstream file(SESSION_VECTORS);
  CHECK(file.is_open());
  std::unique_ptr<Scene> scene;
  std::string title;
  int vectors = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string first;
    words >> first;
    if (first == "vector") {
      scene = std::make_unique<Scene>();
      title = line;
      ++vectors;
    } else if (first == "options") {
      scene->setOptions(words);
    } else if (first == "macro") {
      scene->setMacro(words);
    } else if (first == "handler") {
      scene->setHandler(words);
    } else if (const std::string found = scene->run(first); found != line) {
      std::fprintf(stderr, "%s\n  expected: %s\n  found:    %s\n", title.c_str(), line.c_str(),
                   found.c_str());
      return 1;
    }
  }
  CHECK(vectors > 20);
}
