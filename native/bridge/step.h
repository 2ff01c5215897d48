// The steps of an SMTP session as libmilter reports them, one per xxfi_ callback.
#pragma once

#include <cstdint>

namespace milter {

// The order is known to lib/addon/steps.ts; the addon exports stepNames, and loading it compares the two.
enum class Step : uint8_t {
  negotiate,
  connect,
  helo,
  envfrom,
  envrcpt,
  data,
  header,
  eoh,
  body,
  eom,
  unknown,
  abort,
  close,
};

constexpr const char* kStepNames[] = {"negotiate", "connect", "helo", "envfrom", "envrcpt", "data", "header",
                                      "eoh",       "body",    "eom",  "unknown", "abort",   "close"};
constexpr unsigned kStepCount = sizeof kStepNames / sizeof kStepNames[0];
static_assert(kStepCount == static_cast<unsigned>(Step::close) + 1, "one name per step");

using StepMask = uint32_t;
constexpr StepMask bit(Step step) { return StepMask{1} << static_cast<unsigned>(step); }

// The steps whose answers the SMTP client cannot see before the end of the message.
constexpr StepMask kDeferrable = bit(Step::header) | bit(Step::eoh) | bit(Step::body);
// The steps that belong to a message; a filter that stops lets a session in one of these finish.
constexpr StepMask kTransactionSteps = bit(Step::envfrom) | bit(Step::envrcpt) | bit(Step::data) |
                                       bit(Step::header) | bit(Step::eoh) | bit(Step::body) | bit(Step::eom);

}  // namespace milter
