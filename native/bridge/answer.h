// What a JS thread says to the parked libmilter thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bridge/step.h"

namespace milter {

// Numbers are libmilter's SMFIS_ values; native/libmilter/callbacks.cc asserts that.
enum class Verdict : int {
  cont = 0,
  reject = 1,
  discard = 2,
  accept = 3,
  tempfail = 4,
  noreply = 7,
  skip = 8,
  allOpts = 10,
};

// Whether this answer to a step of a message means that no further step of that message will come.
constexpr bool endsTransaction(Step step, Verdict verdict) {
  switch (verdict) {
    case Verdict::accept:
    case Verdict::discard:
      return true;
    case Verdict::reject:
    case Verdict::tempfail:
      return step != Step::envrcpt && step != Step::unknown;  // there it is about one recipient or command
    default:
      return step == Step::eom;
  }
}

// A modification of the message, to be written to the MTA by the parked thread (R2).
struct Action {
  enum class Kind : uint8_t {
    addheader,
    insheader,
    chgheader,
    addrcpt,
    addrcptPar,
    delrcpt,
    replacebody,
    chgfrom,
    quarantine,
    progress,
  };
  Kind kind;
  int index = 0;           // insheader, chgheader
  std::string first;       // name, address, body or reason
  std::string second;      // header value or ESMTP arguments
  bool hasSecond = false;  // chgheader without value deletes, chgfrom without is plain
};

// libmilter's SMFIP_SKIP; native/libmilter/callbacks.cc asserts that.
constexpr uint32_t kProtocolSkip = 0x400;

// What a negotiate handler settled on.
struct NegotiatedOptions {
  uint32_t actions = ~uint32_t{0};  // every right, until negotiated
  uint32_t protocol = 0;            // what the filter settled on
  uint32_t added = 0;               // protocol bits for the deferral
  StepMask asked = ~StepMask{0};  // steps that have a handler; the others are answered on libmilter's thread
  StepMask deferred = 0;          // steps whose events are collected and answered at the end of the message
  StepMask silent = 0;            // steps for which "no reply" was agreed
};

// The text of an SMTP reply.
struct Reply {
  std::string code;
  std::string extended;  // empty for none
  std::vector<std::string> lines;
};

struct Answer {
  Verdict verdict = Verdict::cont;
  NegotiatedOptions options;  // only to negotiate
};

}  // namespace milter
