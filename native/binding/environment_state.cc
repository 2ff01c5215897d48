#include "binding/environment_state.h"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

#include "binding/napi_check.h"
#include "binding/text.h"
#include "bridge/process.h"

namespace milter {
namespace {

constexpr uint32_t kWithMacros = 0x100;
// Arguments of one call of `deliver`: far fewer than what V8's stack takes.
constexpr size_t kMaxArguments = 1024;

std::vector<std::string> wordsOf(const std::string& line) {
  std::istringstream words(line);
  return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

}  // namespace

std::shared_ptr<MessageQueue> EnvironmentState::open(const Napi::Function& deliver, Role role,
                                                     Dispatcher::Role dispatcherRole) {
  wakeup_.create(deliver, *this);
  queue_ = std::make_shared<MessageQueue>([this] { wakeup_.wake(); });
  // Added after the wake-up's own hook, so that it runs before that one (async_wakeup.h).
  if (napi_add_env_cleanup_hook(env_, onEnvironmentEnd, this) != napi_ok) throw Napi::Error::New(env_);
  role_ = role;
  Process::get().sharedState().dispatcher.add(queue_, dispatcherRole);
  return queue_;
}

// R5: whoever waits for this environment's answer is told that none will come. The other workers go on.
void EnvironmentState::onEnvironmentEnd(void* data) {
  EnvironmentState& state = *static_cast<EnvironmentState*>(data);
  // The stop comes first, so that sessions which begin meanwhile are refused because the filter stops.
  if (state.role_ == Role::primary) Process::get().stop(std::chrono::milliseconds(0));
  Process::get().sharedState().dispatcher.remove(*state.queue_);
  state.queue_->close();
  state.wakeup_.close();  // no thread calls wake() after MessageQueue::close()
}

void EnvironmentState::deliverPending(const Napi::Function& deliver) {
  wakeup_.delivering();  // before take(), after which the next message calls wake()
  std::vector<Message> messages = queue_->take(std::move(delivered_));
  for (Message& message : messages) {
    try {
      const Napi::HandleScope scope(env_);
      deliverOne(deliver, message);
    } catch (const NapiFailure&) {
      // `deliver` catches what handlers throw. So either it has a defect, which must be seen, or the
      // environment ends (process.exit, worker.terminate), and onEnvironmentEnd() releases its sessions.
      bool pending = false;
      napi_value error;
      if (napi_is_exception_pending(env_, &pending) == napi_ok && pending &&
          napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
        napi_fatal_exception(env_, error);
      }
    }
  }
  messages.clear();
  delivered_ = std::move(messages);
}

void EnvironmentState::deliverOne(const Napi::Function& deliver, Message& message) {
  const uint32_t slot = message.session ? assignSlot(message.session) : Session::kNoSlot;
  const napi_status status = call(deliver, message, slot);
  if (message.kind == MessageKind::closed) {
    slots_[slot] = {};
    freeSlots_.push_back(slot);
  }
  if (message.kind == MessageKind::stopped) wakeup_.unref(env_);
  check(status);
}

// The events are arguments of the call, because Node-API takes several times as long to fill an array element
// by element. All values are created before the first call, so that a failure leaves no part of them behind.
napi_status EnvironmentState::call(const Napi::Function& deliver, Message& message, uint32_t slot) {
  const napi_value head[] = {numberToJs(env_, static_cast<uint32_t>(message.kind)), numberToJs(env_, slot),
                             numberToJs(env_, message.question)};
  constexpr size_t kBefore = std::size(head) + 1;  // and isPart
  constexpr size_t kUsualPerEvent = 4;             // its step, a count, and the name and value of a header
  std::vector<napi_value> values;
  values.reserve(kBefore + (message.batch ? kUsualPerEvent * message.batch->events().size() : 0));
  values.resize(kBefore);
  if (message.batch) appendEvents(values, slot, *message.batch);
  message.batch.reset();  // before the handlers run: after their answer, the session fills it again
  napi_value receiver;
  check(napi_get_undefined(env_, &receiver));
  napi_status status = napi_ok;
  size_t at = kBefore;
  do {
    const size_t end = std::min(values.size(), at + kMaxArguments);
    napi_value* const arguments = &values[at - kBefore];  // over values that have been passed already
    napi_value* const isPart = std::copy(std::begin(head), std::end(head), arguments);
    check(napi_get_boolean(env_, end < values.size(), isPart));
    status = napi_call_function(env_, receiver, deliver, kBefore + end - at, arguments, nullptr);
    at = end;
  } while (status == napi_ok && at < values.size());
  return status;
}

std::shared_ptr<const MacroNames> EnvironmentState::macroNames(const std::string& list) {
  if (list.empty()) return nullptr;
  if (list != macroList_) {
    const size_t lineEnd = list.find('\n');
    macroNames_ = std::make_shared<const MacroNames>(
        MacroNames{wordsOf(list.substr(0, lineEnd)), wordsOf(list.substr(lineEnd + 1))});
    macroList_ = list;
  }
  return macroNames_;
}

uint32_t EnvironmentState::assignSlot(const std::shared_ptr<Session>& session) {
  if (session->slot != Session::kNoSlot) return session->slot;
  if (freeSlots_.empty()) {
    session->slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    session->slot = freeSlots_.back();
    freeSlots_.pop_back();
  }
  slots_[session->slot].session = session;
  return session->slot;
}

// Flat, to save an object for each event: step, number of arguments, the arguments, the next event's step,
// ... An event with kWithMacros in its step has its macros before its other arguments (lib/addon/events.ts).
void EnvironmentState::appendEvents(std::vector<napi_value>& values, uint32_t slot, const Batch& batch) {
  const auto append = [&](napi_value value) {
    if (value == nullptr) throw NapiFailure();
    values.push_back(value);
  };
  for (const Event& event : batch.events()) {
    const unsigned numbers = numbersOf(event.step);
    const uint32_t first = event.withMacros ? 1 : 0;
    append(numberToJs(env_, static_cast<uint32_t>(event.step) | (event.withMacros ? kWithMacros : 0)));
    append(numberToJs(env_, numbers + event.count));
    if (event.withMacros) append(toJs(env_, batch.argument(event, 0)));
    for (unsigned i = 0; i < numbers; ++i) append(numberToJs(env_, event.numbers[i]));
    for (uint32_t i = first; i < event.count; ++i) {
      const std::string_view argument = batch.argument(event, i);
      append(event.step == Step::body ? chunkToJs(slot, batch, argument) : toJs(env_, argument));
    }
  }
}

napi_value EnvironmentState::chunkToJs(uint32_t slot, const Batch& batch, std::string_view chunk) {
  BatchView* const view = slots_[slot].view.get();
  return view != nullptr ? view->chunk(batch, chunk) : ownBuffer(env_, batch.block(), chunk);
}

bool EnvironmentState::answer(uint32_t slot, uint32_t question, const Answer& answer) {
  Session* const asking = session(slot);
  if (asking == nullptr) return false;
  // Before the answer, because the next message may be posted at once.
  std::unique_ptr<BatchView>& view = slots_[slot].view;
  if (!answer.keepsNothing) {
    view.reset();
  } else if (!view) {
    view = std::make_unique<BatchView>(env_);
  }
  return asking->pendingReply().answer(question, answer);
}

}  // namespace milter
