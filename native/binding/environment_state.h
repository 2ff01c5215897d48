// A JS environment's place of work: its queue, the wake-up that empties it, and the sessions it knows.
//
// One per environment (the main thread's or a worker's), made when the environment loads the addon. All but
// the wake-up runs on that environment's thread.
#pragma once

#include <memory>
#include <vector>

#include "binding/async_wakeup.h"
#include "binding/napi_setup.h"
#include "bridge/dispatcher.h"
#include "bridge/message_queue.h"
#include "bridge/session.h"

namespace milter {

class EnvironmentState {
 public:
  explicit EnvironmentState(Napi::Env env) : env_(env) {}
  ~EnvironmentState();
  EnvironmentState(const EnvironmentState&) = delete;
  EnvironmentState& operator=(const EnvironmentState&) = delete;
  static EnvironmentState& of(Napi::Env env) { return *env.GetInstanceData<EnvironmentState>(); }

  // What the end of the environment means: of the filter, or of the sessions that are served here.
  enum class Role : uint8_t { primary, worker };
  // Joins the house's dispatcher. `deliver(kind, slot, question, events)` is called for each mail from here
  // on, and keeps the loop alive until `stopped` has come.
  std::shared_ptr<MessageQueue> open(const Napi::Function& deliver, Role role,
                                     Dispatcher::Role dispatcherRole);
  // The session in a slot that deliver() has named and whose `closed` mail has not been delivered; else null.
  Session* session(uint32_t slot) const { return slot < sessions_.size() ? sessions_[slot].get() : nullptr; }

  // Passes all waiting messages to `deliver`; called by the wake-up.
  void deliverPending(const Napi::Function& deliver);

 private:
  static void onEnvironmentEnd(void* state);
  void deliver(const Napi::Function& function, Message& message);
  uint32_t assignSlot(const std::shared_ptr<Session>& session);
  napi_value eventsToJs(const std::shared_ptr<Batch>& batch);
  napi_value chunkToJs(const std::shared_ptr<Batch>& batch, std::string_view bytes);

  const napi_env env_;
  Role role_ = Role::primary;
  std::shared_ptr<MessageQueue> queue_;
  AsyncWakeup wakeup_;
  std::vector<std::shared_ptr<Session>> sessions_;  // by slot
  std::vector<uint32_t> freeSlots_;
};

}  // namespace milter
