#include "bridge/session.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

namespace milter {

Session::Session(House& house, std::unique_ptr<Mta> mta) : house_(house), mta_(std::move(mta)) {
  mailbox_ = house_.roster.enrol(this);  // when all else is made: from here on it can be released
  if (!mailbox_) exchange_.release();
}

Session::~Session() {
  if (mailbox_) mailbox_->discharge(this);
}

Verdict Session::negotiate(const uint32_t (&offer)[4], Agreement& agreement) {
  Traffic::Visit visit(house_.traffic);
  if (!mailbox_ || house_.traffic.draining()) return refusal(Step::negotiate);
  Event& event = batch_.begin(Step::negotiate);
  std::copy(std::begin(offer), std::end(offer), event.numbers);
  const Verdict verdict = ask(Step::negotiate, &agreement);
  if (verdict == Verdict::cont) {
    agreement_ = agreement;
  } else if (verdict == Verdict::allOpts) {
    agreement_.actions = offer[0];  // all of the offer, which may be less than everything
  }
  return verdict;
}

std::optional<Verdict> Session::settle(Step step) {
  // An abort is about a message. libmilter lets it through between messages too once any filter object of the
  // process has left steps out (its table of states is one for all), and Postfix sends it after every
  // message.
  if (step == Step::abort && !inMessage_) return Verdict::cont;
  if (bit(step) & kMessageSteps) {
    if (house_.traffic.draining() && !inMessage_) {  // no new message while the filter stops
      if (agreement_.silent & bit(step))
        return Verdict::noreply;  // refused at the first step that is answered
      mta_->setreply("451", "4.3.2", {"filter is stopping, try again later"});
      return Verdict::tempfail;
    }
    if (step == Step::envfrom) leaveMessage();  // an earlier message that ended without a word
    enterMessage();
  }
  if (step == Step::eom && reply_) giveReply(*std::exchange(reply_, std::nullopt));
  if (deferred_) {  // the message has its verdict: nothing more is brought before the handlers
    if (step == Step::eom) return finish(step, *deferred_);
    if (step == Step::abort) return finish(step, Verdict::cont);
    if (bit(step) & kMessageSteps) return passive(step);
  }
  // The end of a message takes the batch along, whether or not it has a handler of its own.
  if ((step == Step::eom || step == Step::abort) && !batch_.empty()) return std::nullopt;
  if (!(agreement_.asked & bit(step)) || (skipped_ & bit(step))) return finish(step, passive(step));
  return std::nullopt;
}

Verdict Session::carry(Step step) {
  if (!(agreement_.deferred & bit(step))) {
    const Verdict verdict = ask(step);
    if (verdict != Verdict::skip) return finish(step, verdict);
    skipped_ |= bit(step);  // for the MTA that goes on all the same, or does not know the word
    return agreement_.protocol & kProtocolSkip ? finish(step, verdict) : passive(step);
  }
  if (batch_.size() >= kFullBatch || Exchange::Clock::now() - batch_.begun() >= kOldBatch) {
    const Verdict verdict = ask(step);
    if (verdict == Verdict::skip) {
      skipped_ |= bit(step);
    } else if (verdict != Verdict::cont && verdict != Verdict::noreply) {
      deferred_ = verdict;
    }
  }
  return passive(step);
}

// The answer that libmilter gets where no handler's counts.
Verdict Session::passive(Step step) const {
  return agreement_.silent & bit(step) ? Verdict::noreply : Verdict::cont;
}

// Hands the batch over and parks until it is answered (R1, R5).
Verdict Session::ask(Step step, Agreement* agreement) {
  asking_ = step;
  const uint32_t question = exchange_.open(house_.settings.patience());
  if (question == Exchange::kReleased) {
    batch_ = Batch();
    return refusal(step);
  }
  post(Mail::Kind::question, question, std::exchange(batch_, {}));
  Exchange::Result result = exchange_.await(*mta_, house_.traffic);
  house_.traffic.answered();
  switch (result.outcome) {
    case Exchange::Outcome::answered:
      if (agreement) *agreement = result.answer.agreement;
      return result.answer.verdict;
    case Exchange::Outcome::writeFailed:
      post(Mail::Kind::writeFailed, question, {});
      return Verdict::tempfail;
    case Exchange::Outcome::expired:
      post(Mail::Kind::expired, question, {});
      return stand(step);
    case Exchange::Outcome::released:
      post(Mail::Kind::released, question, {});
      return refusal(step);
  }
  return Verdict::tempfail;
}

// For now there is nobody who could answer. A filter that stops is as one that is not there. Where only the
// session's JS thread is missing, the MTA must not do what it does without a filter, which may be to let the
// mail pass: all steps are agreed to, and the first is refused for now.
Verdict Session::refusal(Step step) const {
  if (step != Step::negotiate) return Verdict::tempfail;
  return house_.traffic.draining() ? Verdict::reject : Verdict::allOpts;
}

// The exception policy stands in for an answer that did not come.
Verdict Session::stand(Step step) {
  if (step == Step::negotiate) return Verdict::allOpts;
  const ExceptionPolicy policy = house_.settings.policy();
  if (!policy.code.empty()) setreply({policy.code, policy.extended, {policy.text}});
  return policy.verdict;
}

bool Session::setreply(const Reply& reply) {
  if (asking_ != Step::abort && !(agreement_.deferred & bit(asking_))) return giveReply(reply);
  reply_ = reply;
  return true;  // lib/session/reply.ts has checked all that libmilter would
}

bool Session::giveReply(const Reply& reply) {
  return mta_->setreply(reply.code, reply.extended.empty() ? nullptr : reply.extended.c_str(), reply.lines);
}

Verdict Session::finish(Step step, Verdict verdict) {
  const bool messageStep = (bit(step) & kMessageSteps) != 0;
  const bool silent = (agreement_.silent & bit(step)) != 0;
  if (step == Step::abort || (messageStep && !silent && endsMessage(step, verdict))) leaveMessage();
  if (silent) {
    // libmilter must not see a verdict here: it would send none, and yet end the message for itself, so that
    // the MTA waits in vain. What a handler without reply says of a message (it failed) holds at the
    // message's end.
    if (messageStep && verdict != Verdict::cont && verdict != Verdict::noreply && verdict != Verdict::skip) {
      deferred_ = verdict;
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

void Session::enterMessage() {
  if (std::exchange(inMessage_, true)) return;
  house_.traffic.messageBegan();
}

void Session::leaveMessage() {
  batch_ = Batch();
  skipped_ = 0;
  deferred_.reset();
  reply_.reset();
  if (!std::exchange(inMessage_, false)) return;
  house_.traffic.answered();
  house_.traffic.messageEnded();
}

void Session::close() {
  Traffic::Visit visit(house_.traffic);
  exchange_.release();
  leaveMessage();
  if (heardOf_) post(Mail::Kind::closed, 0, {});
}

void Session::post(Mail::Kind kind, uint32_t question, Batch&& batch) {
  heardOf_ = true;
  // A closed mailbox has released this session, or will: the question ends either way.
  if (mailbox_) (void)mailbox_->post({kind, shared_from_this(), question, std::move(batch)});
}

}  // namespace milter
