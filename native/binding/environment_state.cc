#include "binding/environment_state.h"

#include <iterator>
#include <sstream>
#include <utility>

#include "binding/text.h"
#include "bridge/process.h"

namespace milter {
namespace {

// A call of Node-API failed: a JS exception is pending, or the environment is being torn down and no JS can
// run.
struct NapiFailure {};

void check(napi_status status) {
  if (status != napi_ok) throw NapiFailure();
}

constexpr uint32_t kWithMacros = 0x100;

napi_value numberToJs(napi_env env, uint32_t number) {
  napi_value value;
  check(napi_create_uint32(env, number, &value));
  return value;
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
  for (Message& message : queue_->take()) {
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
}

void EnvironmentState::deliverOne(const Napi::Function& deliver, Message& message) {
  const auto batch = std::make_shared<Batch>(std::move(message.batch));
  const uint32_t slot = message.session ? assignSlot(message.session) : Session::kNoSlot;
  napi_value receiver;
  check(napi_get_undefined(env_, &receiver));
  const napi_value arguments[] = {numberToJs(env_, static_cast<uint32_t>(message.kind)),
                                  numberToJs(env_, slot), numberToJs(env_, message.question),
                                  eventsToJs(batch)};
  const napi_status status =
      napi_call_function(env_, receiver, deliver, std::size(arguments), arguments, nullptr);
  if (message.kind == MessageKind::closed) {
    sessions_[slot] = nullptr;
    freeSlots_.push_back(slot);
  }
  if (message.kind == MessageKind::stopped) wakeup_.unref(env_);
  check(status);
}

std::shared_ptr<const std::vector<std::string>> EnvironmentState::macroNames(const std::string& list) {
  if (list.empty()) return nullptr;
  if (list != macroList_) {
    std::istringstream words(list);
    macroNames_ = std::make_shared<const std::vector<std::string>>(std::istream_iterator<std::string>(words),
                                                                   std::istream_iterator<std::string>());
    macroList_ = list;
  }
  return macroNames_;
}

uint32_t EnvironmentState::assignSlot(const std::shared_ptr<Session>& session) {
  if (session->slot != Session::kNoSlot) return session->slot;
  if (freeSlots_.empty()) {
    session->slot = static_cast<uint32_t>(sessions_.size());
    sessions_.push_back(session);
  } else {
    session->slot = freeSlots_.back();
    freeSlots_.pop_back();
    sessions_[session->slot] = session;
  }
  return session->slot;
}

// Flat, to save an object for each event: step, number of arguments, the arguments, the next event's step,
// ... An event with kWithMacros in its step has its macros before its other arguments (lib/addon/native.ts).
napi_value EnvironmentState::eventsToJs(const std::shared_ptr<Batch>& batch) {
  napi_value list;
  check(napi_create_array(env_, &list));
  uint32_t length = 0;
  const auto push = [&](napi_value value) {
    if (value == nullptr) throw NapiFailure();
    check(napi_set_element(env_, list, length++, value));
  };
  for (const Event& event : batch->events()) {
    const unsigned numbers = numbersOf(event.step);
    const uint32_t first = event.withMacros ? 1 : 0;
    push(numberToJs(env_, static_cast<uint32_t>(event.step) | (event.withMacros ? kWithMacros : 0)));
    push(numberToJs(env_, numbers + event.count));
    if (event.withMacros) push(toJs(env_, batch->argument(event, 0)));
    for (unsigned i = 0; i < numbers; ++i) push(numberToJs(env_, event.numbers[i]));
    for (uint32_t i = first; i < event.count; ++i) {
      const std::string_view argument = batch->argument(event, i);
      push(event.step == Step::body ? chunkToJs(batch, argument) : toJs(env_, argument));
    }
  }
  return list;
}

napi_value EnvironmentState::chunkToJs(const std::shared_ptr<Batch>& batch, std::string_view bytes) {
  // Below this size a copy is cheaper than an external buffer with a finalizer (docs/performance.md).
  constexpr size_t kWorthSharing = size_t{16} * 1024;
  napi_value buffer;
  if (bytes.size() >= kWorthSharing) {
    auto* const held = new std::shared_ptr<Batch>(batch);
    const napi_status status = napi_create_external_buffer(
        env_, bytes.size(), const_cast<char*>(bytes.data()),
        [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Batch>*>(hint); }, held,
        &buffer);
    if (status == napi_ok) return buffer;
    delete held;
    // Some runtimes allow no external memory, and get a copy.
    if (status != napi_no_external_buffers_allowed) check(status);
  }
  check(napi_create_buffer_copy(env_, bytes.size(), bytes.data(), nullptr, &buffer));
  return buffer;
}

}  // namespace milter
