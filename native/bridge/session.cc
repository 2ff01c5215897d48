#include "bridge/session.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace milter {

Session::Session(SharedState& shared, std::unique_ptr<Mta> mta) : shared_(shared), mta_(std::move(mta)) {
  queue_ = shared_.dispatcher.bind(this);  // when all else is made: from here on it can be released
  if (!queue_) pendingReply_.release();
}

Session::~Session() {
  if (queue_) queue_->unbind(this);
}

Verdict Session::negotiate(const uint32_t (&offer)[4], NegotiatedOptions& options) {
  InFlight::CallbackScope scope(shared_.inFlight);
  if (!queue_ || shared_.inFlight.draining()) return refusal(Step::negotiate);
  Event& event = batch_.begin(Step::negotiate);
  std::copy(std::begin(offer), std::end(offer), event.numbers);
  const Verdict verdict = ask(Step::negotiate, &options);
  if (verdict == Verdict::cont) {
    options_ = options;
  } else if (verdict == Verdict::allOpts) {
    options_.actions = offer[0];  // all of the offer, which may be less than everything
  }
  return verdict;
}

std::optional<Verdict> Session::answerWithoutHandler(Step step) {
  // An abort is about a message. libmilter lets it through between messages too once any filter object of the
  // process has left steps out (its table of states is one for all), and Postfix sends it after every
  // message.
  if (step == Step::abort && !inTransaction_) return Verdict::cont;
  if (bit(step) & kTransactionSteps) {
    if (shared_.inFlight.draining() && !inTransaction_) {        // no new message while the filter stops
      if (options_.silent & bit(step)) return Verdict::noreply;  // refused at the first step that is answered
      mta_->setreply("451", "4.3.2", {"filter is stopping, try again later"});
      return Verdict::tempfail;
    }
    if (step == Step::envfrom) leaveTransaction();  // an earlier message that ended without a word
    enterTransaction();
  }
  if (step == Step::eom && reply_) giveReply(*std::exchange(reply_, std::nullopt));
  if (deferredVerdict_) {  // the message has its verdict: nothing more is brought before the handlers
    if (step == Step::eom) return finish(step, *deferredVerdict_);
    if (step == Step::abort) return finish(step, Verdict::cont);
    if (bit(step) & kTransactionSteps) return defaultVerdict(step);
  }
  // The end of a message takes the batch along, whether or not it has a handler of its own.
  if ((step == Step::eom || step == Step::abort) && !batch_.empty()) return std::nullopt;
  if (!(options_.asked & bit(step)) || (skipped_ & bit(step))) return finish(step, defaultVerdict(step));
  return std::nullopt;
}

Verdict Session::deliver(Step step) {
  if (!(options_.deferred & bit(step))) {
    const Verdict verdict = ask(step);
    if (verdict != Verdict::skip) return finish(step, verdict);
    skipped_ |= bit(step);  // for the MTA that goes on all the same, or does not know the word
    return options_.protocol & kProtocolSkip ? finish(step, verdict) : defaultVerdict(step);
  }
  if (batch_.size() >= kMaxBatchBytes || PendingReply::Clock::now() - batch_.startedAt() >= kMaxBatchAge) {
    const Verdict verdict = ask(step);
    if (verdict == Verdict::skip) {
      skipped_ |= bit(step);
    } else if (verdict != Verdict::cont && verdict != Verdict::noreply) {
      deferredVerdict_ = verdict;
    }
  }
  return defaultVerdict(step);
}

// The answer that libmilter gets where no handler's counts.
Verdict Session::defaultVerdict(Step step) const {
  return options_.silent & bit(step) ? Verdict::noreply : Verdict::cont;
}

// Hands the batch over and parks until it is answered (R1, R5).
Verdict Session::ask(Step step, NegotiatedOptions* options) {
  currentStep_ = step;
  const uint32_t question = pendingReply_.open(shared_.settings.answerTimeout());
  if (question == PendingReply::kReleased) {
    batch_ = Batch();
    return refusal(step);
  }
  post(Message::Kind::question, question, std::exchange(batch_, {}));
  PendingReply::Result result = pendingReply_.await(*mta_, shared_.inFlight);
  shared_.inFlight.answered();
  switch (result.outcome) {
    case PendingReply::Outcome::answered:
      if (options) *options = result.answer.options;
      return result.answer.verdict;
    case PendingReply::Outcome::writeFailed:
      post(Message::Kind::writeFailed, question, {});
      return Verdict::tempfail;
    case PendingReply::Outcome::expired:
      post(Message::Kind::expired, question, {});
      return applyExceptionPolicy(step);
    case PendingReply::Outcome::released:
      post(Message::Kind::released, question, {});
      return refusal(step);
  }
  return Verdict::tempfail;
}

// For now there is nobody who could answer. A filter that stops is as one that is not there. Where only the
// session's JS thread is missing, the MTA must not do what it does without a filter, which may be to let the
// mail pass: all steps are agreed to, and the first is refused for now.
Verdict Session::refusal(Step step) const {
  if (step != Step::negotiate) return Verdict::tempfail;
  return shared_.inFlight.draining() ? Verdict::reject : Verdict::allOpts;
}

// The exception policy stands in for an answer that did not come.
Verdict Session::applyExceptionPolicy(Step step) {
  if (step == Step::negotiate) return Verdict::allOpts;
  const ExceptionPolicy policy = shared_.settings.policy();
  if (!policy.code.empty()) setreply({policy.code, policy.extended, {policy.text}});
  return policy.verdict;
}

bool Session::setreply(const Reply& reply) {
  if (currentStep_ != Step::abort && !(options_.deferred & bit(currentStep_))) return giveReply(reply);
  reply_ = reply;
  return true;  // lib/session/reply.ts has checked all that libmilter would
}

bool Session::giveReply(const Reply& reply) {
  return mta_->setreply(reply.code, reply.extended.empty() ? nullptr : reply.extended.c_str(), reply.lines);
}

Verdict Session::finish(Step step, Verdict verdict) {
  const bool ofTransaction = (bit(step) & kTransactionSteps) != 0;
  const bool silent = (options_.silent & bit(step)) != 0;
  if (step == Step::abort || (ofTransaction && !silent && endsTransaction(step, verdict))) leaveTransaction();
  if (silent) {
    // libmilter must not see a verdict here: it would send none, and yet end the message for itself, so that
    // the MTA waits in vain. What a handler without reply says of a message (it failed) holds at the
    // message's end.
    if (ofTransaction && verdict != Verdict::cont && verdict != Verdict::noreply &&
        verdict != Verdict::skip) {
      deferredVerdict_ = verdict;
    }
    return Verdict::noreply;
  }
  // Where the MTA waits for a reply it must get one, whatever a handler thinks.
  if (verdict == Verdict::noreply) return Verdict::cont;
  // These say nothing of a command; Postfix's smtpd breaks off in the next message, Sendmail throws that
  // away.
  if (step == Step::unknown && (verdict == Verdict::accept || verdict == Verdict::discard))
    return Verdict::cont;
  return verdict;
}

void Session::enterTransaction() {
  if (std::exchange(inTransaction_, true)) return;
  shared_.inFlight.transactionBegan();
}

void Session::leaveTransaction() {
  batch_ = Batch();
  skipped_ = 0;
  deferredVerdict_.reset();
  reply_.reset();
  if (!std::exchange(inTransaction_, false)) return;
  shared_.inFlight.answered();
  shared_.inFlight.transactionEnded();
}

void Session::close() {
  InFlight::CallbackScope scope(shared_.inFlight);
  pendingReply_.release();
  leaveTransaction();
  if (knownToJs_) post(Message::Kind::closed, 0, {});
}

void Session::post(Message::Kind kind, uint32_t question, Batch&& batch) {
  knownToJs_ = true;
  // A closed mailbox has released this session, or will: the question ends either way.
  if (queue_) (void)queue_->post({kind, shared_from_this(), question, std::move(batch)});
}

}  // namespace milter
