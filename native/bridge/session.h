// One SMTP session, as libmilter's threads and one JS thread share it.
//
// libmilter calls back for a session from one thread at a time, not always the same one; what those threads
// keep here needs no lock. What the JS thread touches goes through the PendingReply.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "bridge/answer.h"
#include "bridge/batch.h"
#include "bridge/message_queue.h"
#include "bridge/mta.h"
#include "bridge/pending_reply.h"
#include "bridge/process.h"

namespace milter {

class Session : public std::enable_shared_from_this<Session> {
 public:
  // Bound for life to the JS thread that the house's roster chooses.
  Session(SharedState& shared, std::unique_ptr<Mta> mta);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- libmilter's threads

  // Asks for the handler's terms. reject: refuse the session; allOpts: leave the MTA's offer as it is.
  Verdict negotiate(const uint32_t (&offer)[4], NegotiatedOptions& options);
  // A later session on the same connection to the MTA (QUIT_NC) keeps what the first one negotiated.
  void adopt(const NegotiatedOptions& options) { options_ = options; }
  const NegotiatedOptions& negotiatedOptions() const { return options_; }

  // Brings one event before its handler, or into the batch; returns what libmilter shall be told.
  // `fill(batch, event)` adds the event's arguments.
  template <class Fill>
  Verdict handle(Step step, Fill&& fill) {
    InFlight::CallbackScope scope(shared_.inFlight);
    if (const auto settled = answerWithoutHandler(step)) return *settled;
    fill(batch_, batch_.begin(step));
    return deliver(step);
  }
  Verdict handle(Step step) {
    return handle(step, [](Batch&, Event&) {});
  }

  // R4: never waits. The context is detached first; the JS close handler runs afterwards.
  void close();

  // --- the JS thread

  PendingReply& pendingReply() { return pendingReply_; }
  template <class Use>
  bool withMta(uint32_t question, Use&& use) {
    return pendingReply_.withMta(question, *mta_, std::forward<Use>(use));
  }
  // Sets the reply for a REJECT or TEMPFAIL; call it within withMta(). What is said of a message before its
  // end waits for that end with the verdict: given to libmilter at once, it would stay there if the message
  // is aborted, and go out with a later refusal.
  bool setreply(const Reply& reply);
  // Where the JS side keeps this session; the JS thread's own, never read by others.
  uint32_t slot = kNoSlot;
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  // --- any thread

  void release() { pendingReply_.release(); }

 private:
  static constexpr size_t kMaxBatchBytes = 256 * 1024;          // bytes
  static constexpr std::chrono::milliseconds kMaxBatchAge{20};  // age of its first event

  // The answer to an event that no handler needs to see; nothing where one does.
  std::optional<Verdict> answerWithoutHandler(Step step);
  Verdict deliver(Step step);
  Verdict defaultVerdict(Step step) const;
  Verdict ask(Step step, NegotiatedOptions* options = nullptr);
  Verdict refusal(Step step) const;
  Verdict applyExceptionPolicy(Step step);
  Verdict finish(Step step, Verdict verdict);
  bool giveReply(const Reply& reply);
  void enterTransaction();
  void leaveTransaction();
  void post(Message::Kind kind, uint32_t question, Batch&& batch);

  SharedState& shared_;
  std::shared_ptr<MessageQueue> queue_;  // of its JS thread, for life; null where there was none
  const std::unique_ptr<Mta> mta_;

  // Only libmilter's threads, one at a time.
  NegotiatedOptions options_;
  Batch batch_;
  StepMask skipped_ = 0;                    // header, body: a handler answered SKIP
  Step currentStep_ = Step::negotiate;      // the step that waits, or waited last
  std::optional<Reply> reply_;              // for the end of the message
  std::optional<Verdict> deferredVerdict_;  // a deferred handler's verdict on the message, given at its end
  bool inTransaction_ = false;
  bool knownToJs_ = false;  // JS has been told of this session

  PendingReply pendingReply_;
};

}  // namespace milter
