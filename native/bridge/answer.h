// What a JS thread tells the parked libmilter thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bridge/protocol.h"

namespace milter {

// The numbers are libmilter's SMFIS_ values; native/libmilter/callbacks.cc asserts that.
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

// Whether this answer to a step ends the mail transaction, so that no further step of it will come.
constexpr bool endsTransaction(Step step, Verdict verdict) {
  switch (verdict) {
    case Verdict::accept:
    case Verdict::discard:
      return true;
    case Verdict::reject:
    case Verdict::tempfail:
      // In these steps it concerns one recipient or one command only.
      return step != Step::envrcpt && step != Step::unknown;
    default:
      return step == Step::eom;
  }
}

// A modification of the message, which the parked thread writes to the MTA (R2).
struct Action {
  ActionKind kind;
  int index = 0;           // insheader, chgheader
  std::string first;       // a name, an address, a body or a reason
  std::string second;      // a header's value or ESMTP parameters
  bool hasSecond = false;  // without it, chgheader deletes the header, and chgfrom has no parameters
};

// libmilter's SMFIP_SKIP; native/libmilter/callbacks.cc asserts that.
constexpr uint32_t kProtocolSkip = 0x400;

// The macros whose values are kept with a collected event of a step that has macros of its own.
struct MacroNames {
  std::vector<std::string> lasting;  // say the same from MAIL to the end of the message
  std::vector<std::string> others;
};

// What a session has negotiated. The initial values hold until it has.
struct NegotiatedOptions {
  uint32_t actions = ~uint32_t{0};  // rights
  uint32_t protocol = 0;            // the protocol bits that the filter settled on
  uint32_t added = 0;               // the bits that deferring answers adds to them
  StepMask asked = ~StepMask{0};    // steps with a handler; the others are answered on libmilter's thread
  StepMask deferred = 0;            // steps whose events are collected and answered at the end of the message
  StepMask silent = 0;              // steps for which "no reply" was negotiated
  std::shared_ptr<const MacroNames> macros;  // null if none are kept
};

// The text of an SMTP reply.
struct SmtpReply {
  std::string code;
  std::string extended;  // empty if there is none
  std::vector<std::string> lines;
};

struct Answer {
  Verdict verdict = Verdict::cont;
  bool beforeLast = false;    // the verdict of an event before the last one; later handlers were not called
  bool keepsNothing = false;  // no handler uses the batch's memory any more, so that it may be overwritten
  NegotiatedOptions options;  // to negotiate only
};

}  // namespace milter
