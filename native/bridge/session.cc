#include "bridge/session.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

namespace milter {

Session::Session(SharedState& shared, std::unique_ptr<Mta> mta)
    : shared_(shared), mta_(std::move(mta)), buffered_(shared.bufferedBytes) {
  queue_ = shared_.dispatcher.bind(this);  // last: from here on another thread can release the session
  if (!queue_) pendingReply_.release();
}

Session::~Session() {
  if (queue_) queue_->unbind(this);
}

Verdict Session::negotiate(const uint32_t (&offer)[4]) {
  const InFlight::CallbackScope scope(shared_.inFlight);
  if (!queue_ || shared_.inFlight.draining()) return refuse(Step::negotiate);
  batch_ = std::make_shared<Batch>();
  Event& event = batch_->addEvent(Step::negotiate);
  std::copy(std::begin(offer), std::end(offer), event.numbers);
  const Verdict verdict = ask(Step::negotiate).verdict;
  // All of the offer, which may be less than everything.
  if (verdict == Verdict::allOpts) options_.actions = offer[0];
  return verdict;
}

std::optional<Verdict> Session::answerWithoutHandler(Step step) {
  // An abort is about a message. Between messages libmilter calls back too, once a filter of the process has
  // left steps out (its state table is shared by all), and Postfix sends an abort after every message.
  if (step == Step::abort && !inTransaction_) return Verdict::cont;
  const bool ofTransaction = has(kTransactionSteps, step);
  if (ofTransaction) {
    if (shared_.inFlight.draining() && !inTransaction_) {
      // The filter stops, so no transaction may begin. A step without reply cannot say so; the next one will.
      if (has(options_.silent, step)) return Verdict::noreply;
      mta_->setreply({"451", "4.3.2", {"filter is stopping, try again later"}});
      return refuse(step);
    }
    if (step == Step::envfrom && inTransaction_) {
      // The earlier one has ended without any callback. As in an abort, its verdict does not matter any more.
      if (hasEvents()) ask(Step::abort);
      leaveTransaction();
    }
    enterTransaction();
  }
  if (step == Step::eom && deferredReply_) mta_->setreply(*std::exchange(deferredReply_, std::nullopt));
  if (deferredVerdict_) {  // the message has its verdict, so no handler sees the rest of it
    if (step == Step::eom) return finish(step, *deferredVerdict_);
    if (step == Step::abort) return finish(step, Verdict::cont);
    if (ofTransaction) return defaultVerdict(step);
  }
  // The end of a message hands over the batch, whether or not the step has a handler of its own.
  if ((step == Step::eom || step == Step::abort) && hasEvents()) return std::nullopt;
  if (!has(options_.asked, step) || has(skipped_, step)) return finish(step, defaultVerdict(step));
  return std::nullopt;
}

Verdict Session::deliver(Step step, bool alone) {
  if (has(options_.deferred, step)) {
    if (alone || batch_->bytes() >= kMaxBatchBytes || batchIsOld()) {
      const Verdict verdict = ask(step).verdict;
      if (verdict == Verdict::skip) skipped_ |= bit(step);
      decideMessage(verdict);
    }
    return defaultVerdict(step);
  }
  const auto [verdict, beforeLast] = ask(step);
  if (step == Step::abort) return finish(step, Verdict::cont);
  if (beforeLast && step != Step::eom) {
    // It is not this step that the handler answered: a refused recipient, for one, would let the others pass.
    decideMessage(verdict);
    return defaultVerdict(step);
  }
  if (verdict != Verdict::skip) return finish(step, verdict);
  // Remembered for an MTA that goes on all the same, or does not know SKIP.
  skipped_ |= bit(step);
  return (options_.protocol & kProtocolSkip) != 0 ? finish(step, verdict) : defaultVerdict(step);
}

bool Session::batchIsOld() const {
  return hasEvents() && PendingReply::Clock::now() - batch_->startedAt() >= shared_.settings.maxBatchAge();
}

// libmilter compares each name with all that the MTA has sent, so it is not asked again for what cannot have
// changed: that took a third of the instructions of a message without replies.
void Session::keepMacros(Step step) {
  if (!lastingMacros_ || !has(kTransactionSteps, step)) {
    lastingMacros_.emplace();
    forMacros(options_.macros->lasting, [this](std::string_view text) { lastingMacros_->append(text); });
  }
  batch_->addMacros(*lastingMacros_);
  forMacros(options_.macros->others, [this](std::string_view text) { batch_->extendMacros(text); });
}

template <class Add>
void Session::forMacros(const std::vector<std::string>& names, Add&& add) const {
  for (const std::string& name : names) {
    const char* const value = mta_->getsymval(name);
    if (value == nullptr) continue;
    add({name.c_str(), name.size() + 1});
    add({value, std::strlen(value) + 1});
  }
}

void Session::decideMessage(Verdict verdict) {
  if (!inTransaction_ || verdict == Verdict::cont || verdict == Verdict::noreply ||
      verdict == Verdict::skip) {
    return;
  }
  deferredVerdict_ = verdict;
}

Verdict Session::defaultVerdict(Step step) const {
  return has(options_.silent, step) ? Verdict::noreply : Verdict::cont;
}

Session::BatchAnswer Session::ask(Step step) {
  currentStep_ = step;
  const size_t events = batch_->events().size();
  const uint32_t question = pendingReply_.open(shared_.settings.answerTimeout());
  if (question == PendingReply::kReleased) {
    dropBatch();
    return unanswered(refuse(step), events);
  }
  post(MessageKind::question, question, batch_);
  const PendingReply::Result result = pendingReply_.await(*mta_, shared_.inFlight);
  takeBatchBack(result);
  shared_.inFlight.noteAnswer();
  switch (result.outcome) {
    case PendingReply::Outcome::answered:
      if (step == Step::negotiate && result.answer.verdict == Verdict::cont) options_ = result.answer.options;
      return {result.answer.verdict, result.answer.beforeLast};
    case PendingReply::Outcome::writeFailed:
      post(MessageKind::writeFailed, question, nullptr);
      noteInterruption(Interruption::writeFailed, step);
      return unanswered(Verdict::tempfail, events);
    case PendingReply::Outcome::expired:
      post(MessageKind::expired, question, nullptr);
      noteInterruption(Interruption::expired, step);
      return unanswered(applyExceptionPolicy(step), events);
    case PendingReply::Outcome::released:
      post(MessageKind::released, question, nullptr);
      noteInterruption(Interruption::released, step);
      return unanswered(unavailableVerdict(step), events);
  }
  return unanswered(Verdict::tempfail, events);
}

// The JS thread has let go of the batch before it answered. If the answer is not its own, it may still read
// the batch, and its handlers the chunks. Between messages, a session takes no memory.
void Session::takeBatchBack(const PendingReply::Result& result) {
  const bool answered = result.outcome == PendingReply::Outcome::answered;
  if (answered && inTransaction_ && batch_ && batch_.use_count() == 1) {
    batch_->clear(result.answer.keepsNothing);
  } else {
    batch_.reset();
  }
  buffered_.hold(batch_ ? batch_->memory() : 0);
}

// If there were earlier events, the message has lost them too, and not only the step that waits.
Session::BatchAnswer Session::unanswered(Verdict verdict, size_t events) {
  if (events > 1) decideMessage(verdict);
  return {verdict, false};
}

// A filter that stops is treated like one that is not there. If only the session's JS thread is missing, the
// MTA must not do what it does without a filter, which may be to let the message pass: so all steps are
// negotiated, and the first is refused for now.
Verdict Session::unavailableVerdict(Step step) const {
  if (step != Step::negotiate) return Verdict::tempfail;
  return shared_.inFlight.draining() ? Verdict::reject : Verdict::allOpts;
}

Verdict Session::refuse(Step step) {
  noteInterruption(shared_.inFlight.draining() ? Interruption::stopping : Interruption::unavailable, step);
  return unavailableVerdict(step);
}

void Session::noteInterruption(Interruption reason, Step step) {
  // The MTA expects no answer to an abort.
  if (step != Step::abort) shared_.interruptions.add(reason);
}

Verdict Session::applyExceptionPolicy(Step step) {
  if (step == Step::negotiate) return Verdict::allOpts;
  const ExceptionPolicy policy = shared_.settings.policy();
  if (!policy.code.empty()) setreply({policy.code, policy.extended, {policy.text}});
  return policy.verdict;
}

bool Session::setreply(const SmtpReply& reply) {
  if (currentStep_ != Step::abort && !has(options_.deferred, currentStep_)) return mta_->setreply(reply);
  deferredReply_ = reply;
  return true;  // lib/session/reply.ts has checked everything that libmilter would
}

Verdict Session::finish(Step step, Verdict verdict) {
  const bool ofTransaction = has(kTransactionSteps, step);
  const bool silent = has(options_.silent, step);
  if (step == Step::abort || (ofTransaction && !silent && endsTransaction(step, verdict))) leaveTransaction();
  if (silent) {
    // libmilter must not see a verdict here: it would not send it, and yet end the message for itself, so
    // that the MTA waits in vain. If a handler without reply fails, its verdict is given at the end of the
    // message.
    if (ofTransaction && verdict != Verdict::cont && verdict != Verdict::noreply &&
        verdict != Verdict::skip) {
      deferredVerdict_ = verdict;
    }
    return Verdict::noreply;
  }
  // The MTA waits for a reply, so it must get one whatever the handler returned.
  if (verdict == Verdict::noreply) return Verdict::cont;
  // These two mean nothing for a command. Postfix's smtpd would hang up in the next message, and Sendmail
  // ignores them.
  if (step == Step::unknown && (verdict == Verdict::accept || verdict == Verdict::discard)) {
    return Verdict::cont;
  }
  return verdict;
}

bool Session::releaseChunks(uint32_t question, bool keepsNothing) {
  return withMta(question, [&](Mta&) {
    if (batch_ && batch_->block() && keepsNothing) batch_->block()->discard();
    batch_.reset();
    buffered_.hold(0);
  });
}

Verdict Session::fail(Step step) noexcept {
  pendingReply_.abandon();
  dropBatch();
  // The end of a transaction needs no answer, and a negotiation that is refused would leave the message to
  // the MTA alone: it takes all of the offer, and the next step is refused for now.
  if (step == Step::negotiate) return Verdict::allOpts;
  return finish(step, step == Step::abort ? Verdict::cont : Verdict::tempfail);
}

void Session::enterTransaction() {
  if (std::exchange(inTransaction_, true)) return;
  lastingMacros_.reset();
  shared_.inFlight.transactionBegan();
}

void Session::dropBatch() {
  // The handlers keep nothing of an earlier batch, and have not seen a new one.
  if (batch_ && batch_->block()) batch_->block()->discard();
  batch_.reset();
  buffered_.hold(0);
}

void Session::leaveTransaction() {
  skipped_ = 0;
  deferredVerdict_.reset();
  deferredReply_.reset();
  // The memory that a message has used is not used for another one: a chunk that a handler has kept by
  // mistake must never show another message.
  if (!hasEvents()) dropBatch();
  if (!std::exchange(inTransaction_, false)) return;
  shared_.inFlight.noteAnswer();
  shared_.inFlight.transactionEnded();
}

void Session::close() {
  const InFlight::CallbackScope scope(shared_.inFlight);
  pendingReply_.release();
  leaveTransaction();
  if (knownToJs_) post(MessageKind::closed, 0, std::move(batch_));
  dropBatch();
}

void Session::post(MessageKind kind, uint32_t question, std::shared_ptr<Batch> batch) {
  knownToJs_ = true;
  // A closed queue has released this session or is about to, so the question ends either way.
  if (queue_) (void)queue_->post({kind, shared_from_this(), question, std::move(batch)});
}

}  // namespace milter
