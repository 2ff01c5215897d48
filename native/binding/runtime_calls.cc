#include "binding/runtime_calls.h"

#include <memory>
#include <string>
#include <utility>

#include "binding/environment_state.h"
#include "binding/text.h"
#include "bridge/notification.h"
#include "bridge/process.h"

namespace milter {
namespace {

// How `deliver` is called; lib/addon/native.ts expects the same number.
constexpr int kMessageLayout = 2;

Process& process() { return Process::get(); }

// version(): [major, minor, patchlevel]
Napi::Value version(const Napi::CallbackInfo& info) {
  const Version found = process().version();
  Napi::Array list = Napi::Array::New(info.Env(), 3);
  list[0u] = Napi::Number::New(info.Env(), found.major);
  list[1u] = Napi::Number::New(info.Env(), found.minor);
  list[2u] = Napi::Number::New(info.Env(), found.patchlevel);
  return list;
}

Napi::Value constants(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  for (const Constant& constant : process().constants()) {
    object[constant.name] = Napi::Number::New(env, static_cast<double>(constant.value));
  }
  return object;
}

template <size_t Count>
Napi::Value toList(Napi::Env env, const char* const (&names)[Count]) {
  Napi::Array list = Napi::Array::New(env, Count);
  for (uint32_t i = 0; i < Count; ++i) list[i] = Napi::String::New(env, names[i]);
  return list;
}

// The names of steps, actions, messages, start results and interruptions by number, so that lib can compare
// them with its own.
Napi::Value protocol(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  object["steps"] = toList(env, kStepNames);
  object["actions"] = toList(env, kActionNames);
  object["messages"] = toList(env, kMessageNames);
  object["startResults"] = toList(env, kStartResultNames);
  object["interruptions"] = toList(env, kInterruptionNames);
  return object;
}

// registerFilter(name, actions): boolean
Napi::Value registerFilter(const Napi::CallbackInfo& info) {
  const bool done = process().registerFilter(textFrom(info[0]), info[1].As<Napi::Number>().Uint32Value());
  return Napi::Boolean::New(info.Env(), done);
}

// setTimeout(seconds): boolean
Napi::Value setTimeout(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), process().setTimeout(info[0].As<Napi::Number>().Int32Value()));
}

// setBacklog(connections): boolean
Napi::Value setBacklog(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), process().setBacklog(info[0].As<Napi::Number>().Int32Value()));
}

// setDebug(level): boolean
Napi::Value setDebug(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), process().setDebug(info[0].As<Napi::Number>().Int32Value()));
}

// setMaxDataSize(bytes): number, the old limit
Napi::Value setMaxDataSize(const Napi::CallbackInfo& info) {
  const auto bytes = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  return Napi::Number::New(info.Env(), static_cast<double>(process().setMaxDataSize(bytes)));
}

// maxDataSize(): number
Napi::Value maxDataSize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(process().maxDataSize()));
}

// openSocket(spec, removeStale, mode | null, owner | null, group | null): null | [code, about]
Napi::Value openSocket(const Napi::CallbackInfo& info) {
  OpenOptions options;
  options.removeStale = info[1].As<Napi::Boolean>();
  if (info[2].IsNumber()) options.mode = static_cast<mode_t>(info[2].As<Napi::Number>().Uint32Value());
  if (info[3].IsString()) options.owner = textFrom(info[3]);
  if (info[4].IsString()) options.group = textFrom(info[4]);
  const auto failure = process().openSocket(textFrom(info[0]), options);
  if (!failure) return info.Env().Null();
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair[0u] = Napi::String::New(info.Env(), failure->code);
  pair[1u] = Napi::Value(info.Env(), toJs(info.Env(), failure->about));
  return pair;
}

// port(): number, 0 for other sockets than TCP
Napi::Value port(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), process().port()); }

// setAnswerTimeout(milliseconds)
void setAnswerTimeout(const Napi::CallbackInfo& info) {
  process().sharedState().settings.setAnswerTimeout(info[0].As<Napi::Number>().Int64Value());
}

// setPolicy(verdict, code, extended, text)
void setPolicy(const Napi::CallbackInfo& info) {
  process().sharedState().settings.setPolicy({static_cast<Verdict>(info[0].As<Napi::Number>().Int32Value()),
                                              textFrom(info[1]), textFrom(info[2]), textFrom(info[3])});
}

// setMaxBuffered(bytes)
void setMaxBuffered(const Napi::CallbackInfo& info) {
  process().sharedState().bufferedBytes.setLimit(info[0].As<Napi::Number>().Int64Value());
}

// claim(): StartResult; `ready` if this environment may start a filter from here on, and no other one may
Napi::Value claim(const Napi::CallbackInfo& info) {
  const StartResult found = process().claim(&EnvironmentState::of(info.Env()));
  return Napi::Number::New(info.Env(), static_cast<int>(found));
}

// release(): lets another environment start a filter
void release(const Napi::CallbackInfo& info) { process().release(&EnvironmentState::of(info.Env())); }

// start(deliver, serves): StartResult; the filter has been started only if it is `ready`
Napi::Value start(const Napi::CallbackInfo& info) {
  const StartResult found = process().reserve();
  if (found == StartResult::ready) {
    const auto dispatcherRole =
        info[1].As<Napi::Boolean>() ? Dispatcher::Role::serving : Dispatcher::Role::observing;
    std::shared_ptr<MessageQueue> primary;
    try {
      primary = EnvironmentState::of(info.Env())
                    .open(info[0].As<Napi::Function>(), EnvironmentState::Role::primary, dispatcherRole);
    } catch (const Napi::Error&) {
      process().cancel();
      throw;
    }
    process().start(std::move(primary));
  }
  return Napi::Number::New(info.Env(), static_cast<int>(found));
}

// join(deliver): takes sessions of the filter that another environment starts or has started
void join(const Napi::CallbackInfo& info) {
  EnvironmentState::of(info.Env())
      .open(info[0].As<Napi::Function>(), EnvironmentState::Role::worker, Dispatcher::Role::serving);
}

// stop(drainMilliseconds)
void stop(const Napi::CallbackInfo& info) {
  process().stop(std::chrono::milliseconds(info[0].As<Napi::Number>().Int64Value()));
}

// interruptions(): number[], how many there have been in the process, by Interruption
Napi::Value interruptions(const Napi::CallbackInfo& info) {
  const InterruptionCounts& counts = process().sharedState().interruptions;
  Napi::Array list = Napi::Array::New(info.Env(), kInterruptionCount);
  for (uint32_t i = 0; i < kInterruptionCount; ++i) {
    list[i] = Napi::Number::New(info.Env(), static_cast<double>(counts.of(static_cast<Interruption>(i))));
  }
  return list;
}

// notify(address, text): number, an errno or 0
Napi::Value notify(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), sendNotification(textFrom(info[0]), textFrom(info[1])));
}

}  // namespace

void exportRuntimeCalls(Napi::Env env, Napi::Object exports) {
  exports["constants"] = constants(env);
  exports["protocol"] = protocol(env);
  exports["messageLayout"] = Napi::Number::New(env, kMessageLayout);
  exports["version"] = Napi::Function::New<version>(env, "version");
  exports["registerFilter"] = Napi::Function::New<registerFilter>(env, "registerFilter");
  exports["setTimeout"] = Napi::Function::New<setTimeout>(env, "setTimeout");
  exports["setBacklog"] = Napi::Function::New<setBacklog>(env, "setBacklog");
  exports["setDebug"] = Napi::Function::New<setDebug>(env, "setDebug");
  exports["setMaxDataSize"] = Napi::Function::New<setMaxDataSize>(env, "setMaxDataSize");
  exports["maxDataSize"] = Napi::Function::New<maxDataSize>(env, "maxDataSize");
  exports["openSocket"] = Napi::Function::New<openSocket>(env, "openSocket");
  exports["port"] = Napi::Function::New<port>(env, "port");
  exports["setAnswerTimeout"] = Napi::Function::New<setAnswerTimeout>(env, "setAnswerTimeout");
  exports["setPolicy"] = Napi::Function::New<setPolicy>(env, "setPolicy");
  exports["setMaxBuffered"] = Napi::Function::New<setMaxBuffered>(env, "setMaxBuffered");
  exports["claim"] = Napi::Function::New<claim>(env, "claim");
  exports["release"] = Napi::Function::New<release>(env, "release");
  exports["start"] = Napi::Function::New<start>(env, "start");
  exports["join"] = Napi::Function::New<join>(env, "join");
  exports["stop"] = Napi::Function::New<stop>(env, "stop");
  exports["interruptions"] = Napi::Function::New<interruptions>(env, "interruptions");
  exports["notify"] = Napi::Function::New<notify>(env, "notify");
}

}  // namespace milter
