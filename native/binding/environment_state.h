// What the addon keeps for one JS environment: its message queue, the wake-up that has it delivered, and the
// sessions that it knows.
//
// There is one for each environment (the main thread's or a worker's) that loads the addon. Everything here
// runs on that environment's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "binding/async_wakeup.h"
#include "binding/batch_view.h"
#include "binding/napi_setup.h"
#include "bridge/dispatcher.h"
#include "bridge/message_queue.h"
#include "bridge/process.h"
#include "bridge/session.h"

namespace milter {

class EnvironmentState {
 public:
  explicit EnvironmentState(Napi::Env env) : env_(env) {}
  // An environment that ends before it has started a filter leaves that to others.
  ~EnvironmentState() { Process::get().release(this); }
  EnvironmentState(const EnvironmentState&) = delete;
  EnvironmentState& operator=(const EnvironmentState&) = delete;
  static EnvironmentState& of(Napi::Env env) { return *env.GetInstanceData<EnvironmentState>(); }

  // Whether the end of this environment ends the filter, or only the sessions that are handled here.
  enum class Role : uint8_t { primary, worker };
  // Adds this environment's queue to the dispatcher. From here on `deliver(kind, slot, question, isPart,
  // ...events)` is called for each message; several times if it has many events, with `isPart` in all calls
  // but the last. The loop is kept alive until the message `stopped` has been delivered. Once per
  // environment.
  std::shared_ptr<MessageQueue> open(const Napi::Function& deliver, Role role,
                                     Dispatcher::Role dispatcherRole);
  // The session in a slot, from the first deliver() that names it until its message `closed` has been
  // delivered; otherwise null.
  Session* session(uint32_t slot) const {
    return slot < slots_.size() ? slots_[slot].session.get() : nullptr;
  }
  // Answers the open question of the session in a slot. False if `question` is not that one.
  bool answer(uint32_t slot, uint32_t question, const Answer& answer);

  // The names in `list`: a line of those that last, a line of the others, with blanks in between. Null if it
  // is empty. Most sessions have the same list, so the last one is kept.
  std::shared_ptr<const MacroNames> macroNames(const std::string& list);

  // Passes all waiting messages to `deliver`. The wake-up calls this.
  void deliverPending(const Napi::Function& deliver);

 private:
  struct Slot {
    std::shared_ptr<Session> session;  // null if the slot is free
    std::unique_ptr<BatchView> view;   // if the handlers have kept nothing of the last batch
  };

  static void onEnvironmentEnd(void* data);
  void deliverOne(const Napi::Function& deliver, Message& message);
  uint32_t assignSlot(const std::shared_ptr<Session>& session);
  napi_status call(const Napi::Function& deliver, Message& message, uint32_t slot);
  void appendEvents(std::vector<napi_value>& values, uint32_t slot, const Batch& batch);
  napi_value chunkToJs(uint32_t slot, const Batch& batch, std::string_view chunk);

  const napi_env env_;
  Role role_ = Role::primary;
  std::shared_ptr<MessageQueue> queue_;
  AsyncWakeup wakeup_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> freeSlots_;
  std::vector<Message> delivered_;  // empty: memory for the next messages
  std::string macroList_;
  std::shared_ptr<const MacroNames> macroNames_;  // of macroList_
};

}  // namespace milter
