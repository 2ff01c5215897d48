#include "binding/session_calls.h"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "binding/environment_state.h"
#include "binding/text.h"

namespace milter {
namespace {

// Every call begins with (slot, question). If that question is not open any more, the result is undefined, or
// false for the calls that return a boolean only, and lib throws "bad context".
struct Call {
  explicit Call(const Napi::CallbackInfo& info)
      : session(EnvironmentState::of(info.Env()).session(info[0].As<Napi::Number>().Uint32Value())),
        question(info[1].As<Napi::Number>().Uint32Value()) {}
  Session* session;
  uint32_t question;
};

std::string textOr(const Napi::Value& value, const char* otherwise) {
  return value.IsString() ? textFrom(value) : otherwise;
}

std::string wordsToLine(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
  return line;
}

// getsymval(slot, question, name): string | null | undefined
Napi::Value getsymval(const Napi::CallbackInfo& info) {
  const Call call(info);
  const std::string name = textFrom(info[2]);
  std::string value;  // copied, because the pointer is valid only until the MTA's next command
  bool found = false;
  if (!call.session || !call.session->withMta(call.question, [&](Mta& mta) {
        if (const char* const symbol = mta.getsymval(name)) {
          found = true;
          value = symbol;
        }
      })) {
    return info.Env().Undefined();
  }
  return found ? Napi::Value(info.Env(), toJs(info.Env(), value)) : info.Env().Null();
}

// setreply(slot, question, code, extended | null, lines): boolean | undefined
Napi::Value setreply(const Napi::CallbackInfo& info) {
  const Call call(info);
  bool done = false;
  SmtpReply reply{textFrom(info[2]), textOr(info[3], ""), {}};
  const auto list = info[4].As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i) reply.lines.push_back(textFrom(list[i]));
  if (!call.session ||
      !call.session->withMta(call.question, [&](Mta&) { done = call.session->setreply(reply); })) {
    return info.Env().Undefined();
  }
  return Napi::Boolean::New(info.Env(), done);
}

// setsymlist(slot, question, stage, macros): boolean | undefined
Napi::Value setsymlist(const Napi::CallbackInfo& info) {
  const Call call(info);
  const int stage = info[2].As<Napi::Number>().Int32Value();
  const std::string macros = textFrom(info[3]);
  bool done = false;
  if (!call.session ||
      !call.session->withMta(call.question, [&](Mta& mta) { done = mta.setsymlist(stage, macros); })) {
    return info.Env().Undefined();
  }
  return Napi::Boolean::New(info.Env(), done);
}

// queue(slot, question, kind, index, first, second | null): boolean
Napi::Value queue(const Napi::CallbackInfo& info) {
  const Call call(info);
  Action action{};
  action.kind = static_cast<ActionKind>(info[2].As<Napi::Number>().Uint32Value());
  action.index = info[3].As<Napi::Number>().Int32Value();
  if (info[4].IsTypedArray()) {  // a body is bytes, which may contain NUL
    const auto bytes = info[4].As<Napi::Uint8Array>();
    action.first.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  } else {
    action.first = textFrom(info[4]);
  }
  action.hasSecond = info[5].IsString();
  action.second = textOr(info[5], "");
  const bool queued = call.session && call.session->pendingReply().queue(call.question, std::move(action));
  return Napi::Boolean::New(info.Env(), queued);
}

// resetDeadline(slot, question): boolean
Napi::Value resetDeadline(const Napi::CallbackInfo& info) {
  const Call call(info);
  return Napi::Boolean::New(info.Env(),
                            call.session && call.session->pendingReply().resetDeadline(call.question));
}

// releaseChunks(slot, question, keepsNothing): boolean
Napi::Value releaseChunks(const Napi::CallbackInfo& info) {
  const Call call(info);
  const bool keepsNothing = info[2].As<Napi::Boolean>().Value();
  return Napi::Boolean::New(info.Env(),
                            call.session && call.session->releaseChunks(call.question, keepsNothing));
}

// answer(slot, question, verdict, beforeLast, keepsNothing): boolean
Napi::Value answer(const Napi::CallbackInfo& info) {
  Answer answer;
  answer.verdict = static_cast<Verdict>(info[2].As<Napi::Number>().Int32Value());
  answer.beforeLast = info[3].As<Napi::Boolean>().Value();
  answer.keepsNothing = info[4].As<Napi::Boolean>().Value();
  const bool given =
      EnvironmentState::of(info.Env())
          .answer(info[0].As<Napi::Number>().Uint32Value(), info[1].As<Napi::Number>().Uint32Value(), answer);
  return Napi::Boolean::New(info.Env(), given);
}

// answerNegotiation(slot, question, verdict, options: NegotiatedOptions): boolean
Napi::Value answerNegotiation(const Napi::CallbackInfo& info) {
  const Call call(info);
  const auto options = info[3].As<Napi::Object>();
  const auto number = [&](const char* name) { return options.Get(name).As<Napi::Number>().Uint32Value(); };
  Answer answer;
  answer.verdict = static_cast<Verdict>(info[2].As<Napi::Number>().Int32Value());
  answer.options = {number("actions"),
                    number("protocol"),
                    number("added"),
                    number("asked"),
                    number("deferred"),
                    number("silent"),
                    EnvironmentState::of(info.Env()).macroNames(textFrom(options.Get("macros")))};
  const bool given = call.session && call.session->pendingReply().answer(call.question, answer);
  return Napi::Boolean::New(info.Env(), given);
}

// negotiatedOptions(slot, question): [actions, protocol, deferred, macros] | undefined
Napi::Value negotiatedOptions(const Napi::CallbackInfo& info) {
  const Call call(info);
  NegotiatedOptions found;
  // The session's libmilter thread writes them, and is parked while its question is open (R1).
  if (!call.session ||
      !call.session->withMta(call.question, [&](Mta&) { found = call.session->negotiatedOptions(); })) {
    return info.Env().Undefined();
  }
  std::string macros;
  if (found.macros) macros = wordsToLine(found.macros->lasting) + '\n' + wordsToLine(found.macros->others);
  const uint32_t words[] = {found.actions, found.protocol, found.deferred};
  Napi::Array list = Napi::Array::New(info.Env(), std::size(words) + 1);
  for (uint32_t i = 0; i < std::size(words); ++i) list[i] = Napi::Number::New(info.Env(), words[i]);
  list[static_cast<uint32_t>(std::size(words))] = Napi::Value(info.Env(), toJs(info.Env(), macros));
  return list;
}

}  // namespace

void exportSessionCalls(Napi::Env env, Napi::Object exports) {
  exports["getsymval"] = Napi::Function::New<getsymval>(env, "getsymval");
  exports["setreply"] = Napi::Function::New<setreply>(env, "setreply");
  exports["setsymlist"] = Napi::Function::New<setsymlist>(env, "setsymlist");
  exports["queue"] = Napi::Function::New<queue>(env, "queue");
  exports["resetDeadline"] = Napi::Function::New<resetDeadline>(env, "resetDeadline");
  exports["releaseChunks"] = Napi::Function::New<releaseChunks>(env, "releaseChunks");
  exports["answer"] = Napi::Function::New<answer>(env, "answer");
  exports["negotiatedOptions"] = Napi::Function::New<negotiatedOptions>(env, "negotiatedOptions");
  exports["answerNegotiation"] = Napi::Function::New<answerNegotiation>(env, "answerNegotiation");
}

}  // namespace milter
