// One SMTP session, shared by libmilter's threads and one JS thread.
//
// libmilter calls back for a session from one thread at a time, though not always from the same one. What
// only those threads use needs no lock. What the JS thread uses goes through the PendingReply.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/answer.h"
#include "bridge/batch.h"
#include "bridge/message_queue.h"
#include "bridge/mta.h"
#include "bridge/pending_reply.h"
#include "bridge/shared_state.h"

namespace milter {

class Session : public std::enable_shared_from_this<Session> {
 public:
  // Bound for life to the JS thread that the dispatcher chooses.
  Session(SharedState& shared, std::unique_ptr<Mta> mta);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- libmilter's threads

  // Asks the handler for its options. The verdict reject refuses the session, allOpts takes all of the offer.
  Verdict negotiate(const uint32_t (&offer)[4]);
  // A later session on the same connection to the MTA (QUIT_NC) keeps what the first one negotiated.
  void adopt(const NegotiatedOptions& options) { options_ = options; }
  const NegotiatedOptions& negotiatedOptions() const { return options_; }

  // Passes one event to its handler, or adds it to the batch, and returns the verdict for libmilter.
  // `fill(batch, event)` adds the event's arguments.
  template <class Fill>
  Verdict handle(Step step, Fill&& fill) {
    const InFlight::CallbackScope scope(shared_.inFlight);
    if (const auto verdict = answerWithoutHandler(step)) return *verdict;
    const bool alone = shared_.bufferedBytes.full();
    if (alone && !hasEvents()) dropBatch();  // nothing is reserved while all sessions hold too much
    if (!batch_) batch_ = std::make_shared<Batch>();
    Event& event = batch_->addEvent(step, alone);
    if (keepsMacros(step) && !alone && !batchIsOld()) keepMacros(step);
    std::forward<Fill>(fill)(*batch_, event);
    buffered_.hold(batch_->memory());
    return deliver(step, alone);
  }
  Verdict handle(Step step) {
    return handle(step, [](Batch&, Event&) {});
  }

  // R9: a callback for `step` has thrown, which only a lack of memory makes it do. An event may be lost, so
  // this and all later events are refused for now. Returns the verdict for libmilter.
  Verdict fail(Step step) noexcept;

  // R4: never waits. The JS context works no more. The events that are left in the batch are handed over with
  // the message `closed`: their handlers and the close handler run afterwards.
  void close();

  // --- the JS thread

  PendingReply& pendingReply() { return pendingReply_; }
  template <class Use>
  bool withMta(uint32_t question, Use&& use) {
    return pendingReply_.withMta(question, *mta_, std::forward<Use>(use));
  }
  // Sets the reply for a REJECT or TEMPFAIL, within withMta(). A deferred step's reply is kept until the end
  // of the message, as its verdict is: if libmilter had it at once, it would keep it when the message is
  // aborted, and send it with a later refusal.
  bool setreply(const SmtpReply& reply);
  // The handlers of all chunks in the open question have run, and that of its last event may take long: the
  // chunks' memory is not kept for it. `keepsNothing`: no handler uses a chunk any more. False if the
  // question is not open.
  bool releaseChunks(uint32_t question, bool keepsNothing);
  // Where the JS side keeps this session. Only the JS thread reads or writes it.
  uint32_t slot = kNoSlot;
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  // --- any thread

  void release() { pendingReply_.release(); }

 private:
  static constexpr size_t kMaxBatchBytes = size_t{256} * 1024;

  // The answer to a batch.
  struct BatchAnswer {
    Verdict verdict;
    bool beforeLast;  // see Answer
  };

  // The verdict for an event that no handler needs to see; nullopt for others.
  std::optional<Verdict> answerWithoutHandler(Step step);
  bool hasEvents() const { return batch_ && !batch_->empty(); }
  // Passes the events on, or keeps them in the batch. `alone`: does not wait for others to follow this one.
  Verdict deliver(Step step, bool alone);
  bool batchIsOld() const;
  // Whether a collected event of this step is answered from the macros that were kept with it.
  bool keepsMacros(Step step) const {
    return options_.macros && has(options_.deferred & ~kDeferrableSteps, step);
  }
  // The next event replaces the MTA's macros: keeps the values that the last one, of `step`, can ask for.
  void keepMacros(Step step);
  // Passes the names and values of what the MTA has sent to `add(text)`, each with its NUL.
  template <class Add>
  void forMacros(const std::vector<std::string>& names, Add&& add) const;
  // Keeps the verdict on the message for its end.
  void decideMessage(Verdict verdict);
  void dropBatch();
  // The verdict if no handler decides.
  Verdict defaultVerdict(Step step) const;
  // Hands the batch over and parks until it is answered (R1, R5).
  BatchAnswer ask(Step step);
  // After a question: the batch can be filled again, unless somebody else still uses it.
  void takeBatchBack(const PendingReply::Result& result);
  // `verdict` in place of the handlers' for a batch of `events`.
  BatchAnswer unanswered(Verdict verdict, size_t events);
  // The verdict while no JS thread can answer.
  Verdict unavailableVerdict(Step step) const;
  // Counts the refusal of a step that no JS thread can answer, and returns its verdict.
  Verdict refuse(Step step);
  void noteInterruption(Interruption reason, Step step);
  // The verdict in place of an answer that did not come in time.
  Verdict applyExceptionPolicy(Step step);
  // Turns a handler's verdict into the one that libmilter may see.
  Verdict finish(Step step, Verdict verdict);
  void enterTransaction();
  void leaveTransaction();
  void post(MessageKind kind, uint32_t question, std::shared_ptr<Batch> batch);

  bool has(StepMask steps, Step step) const { return (steps & bit(step)) != 0; }

  SharedState& shared_;
  std::shared_ptr<MessageQueue> queue_;  // its JS thread's, for life; null if there was none
  const std::unique_ptr<Mta> mta_;

  // Only libmilter's threads, one at a time, and releaseChunks() while they are parked.
  NegotiatedOptions options_;
  std::shared_ptr<Batch> batch_;              // lent to the JS thread with a question; null without events
  BufferedBytes::Share buffered_;             // of the batch, also while it is lent
  StepMask skipped_ = 0;                      // header, body: a handler answered SKIP
  Step currentStep_ = Step::negotiate;        // the step that waits for its answer, or waited last
  std::optional<std::string> lastingMacros_;  // as of Batch::addMacros(), in a transaction that has kept some
  std::optional<SmtpReply> deferredReply_;    // given to libmilter at the end of the message
  std::optional<Verdict> deferredVerdict_;    // a deferred handler's verdict, given at the end of the message
  bool inTransaction_ = false;
  bool knownToJs_ = false;  // a message about this session has been posted

  PendingReply pendingReply_;
};

}  // namespace milter
