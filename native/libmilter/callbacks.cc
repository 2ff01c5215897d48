#include "libmilter/callbacks.h"

#include <arpa/inet.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <sys/un.h>
#if defined(__linux__)
#include <malloc.h>
#elif defined(__FreeBSD__)
#include <malloc_np.h>
#endif

#include <cstring>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#include "bridge/session.h"
#include "libmilter/calls.h"
#include "libmilter/runtime.h"

namespace milter {
namespace {

static_assert(static_cast<int>(Verdict::cont) == SMFIS_CONTINUE &&
                  static_cast<int>(Verdict::reject) == SMFIS_REJECT &&
                  static_cast<int>(Verdict::discard) == SMFIS_DISCARD &&
                  static_cast<int>(Verdict::accept) == SMFIS_ACCEPT &&
                  static_cast<int>(Verdict::tempfail) == SMFIS_TEMPFAIL &&
                  static_cast<int>(Verdict::noreply) == SMFIS_NOREPLY &&
                  static_cast<int>(Verdict::skip) == SMFIS_SKIP &&
                  static_cast<int>(Verdict::allOpts) == SMFIS_ALL_OPTS,
              "Verdict has libmilter's values");

static_assert(kProtocolSkip == SMFIP_SKIP, "the bridge has libmilter's value");

// The private data of a context: a shared_ptr on the heap, because the JS side may hold the session longer.
using SessionHolder = std::shared_ptr<Session>;

SessionHolder* holderOf(SMFICTX* context) { return static_cast<SessionHolder*>(smfi_getpriv(context)); }

// If libmilter cannot create a thread for a session, it forgets the session: the MTA waits for an answer in
// vain, and the connection stays open (mi_start_session in worker.c of libmilter 8.17). So while handlers
// keep many threads, a session that begins on one of the last is refused for now. Its thread is free again at
// once, and refuses the next.
bool areThreadsScarce(const InFlight& inFlight) {
  // Below this number no session is checked, because a check creates threads.
  constexpr int64_t kManyCallbacks = 4;
  constexpr int kSpareThreads = 3;
  const int64_t callbacks = inFlight.callbacks();
  if (callbacks < kManyCallbacks) return false;
  // The check would take the threads that they need.
  Runtime::get().listener().awaitWakeups();
  return !Runtime::get().threadRoom().has(kSpareThreads, callbacks);
}

Session& beginSession(SMFICTX* context) {
  SharedState& shared = Runtime::get().sharedState();
  auto session = std::make_shared<Session>(shared, std::make_unique<LibmilterCalls>(context));
  if (areThreadsScarce(shared.inFlight)) session->release();
  auto holder = std::make_unique<SessionHolder>(std::move(session));
  smfi_setpriv(context, holder.get());
  Runtime::get().tcpQuickAck().onSession();
  return **holder.release();
}

// Marks the context as one whose session has ended, and returns whether it was marked before. A list of
// macros that has been chosen cannot be chosen again in the life of a context, and after the negotiation it
// is not sent anywhere: so the list for connect, left empty, is the mark.
bool markSessionEnded(SMFICTX* context) {
  char none[] = "";
  return smfi_setsymlist(context, SMFIM_CONNECT, none) != MI_SUCCESS;
}

// The session of the context. It begins here if the MTA has reused its connection and does not negotiate
// again (QUIT_NC); what was negotiated still holds then. A peer that never negotiates gets here too, perhaps
// with a context at the address of one that has been freed.
Session& sessionOf(SMFICTX* context) {
  if (SessionHolder* const holder = holderOf(context)) {
    Runtime::get().tcpQuickAck().onCallback();
    return **holder;
  }
  Session& session = beginSession(context);
  NegotiationCache& cache = Runtime::get().negotiationCache();
  if (markSessionEnded(context)) {
    if (const auto options = cache.find(context)) session.adopt(*options);
  } else {
    cache.forget(context);
  }
  return session;
}

void endSession(SMFICTX* context) {
  const std::unique_ptr<SessionHolder> holder(holderOf(context));
  if (!holder) {
    Runtime::get().noteConnectionWithoutSession();
    return;
  }
  smfi_setpriv(context, nullptr);
  markSessionEnded(context);
  (*holder)->close();
}

sfsistat toStatus(Verdict verdict) { return static_cast<sfsistat>(verdict); }

// R9: every callback runs in this guard, because no exception may pass through libmilter, which is C. Only a
// lack of memory causes one. `callback()` returns the verdict.
template <class Callback>
sfsistat guarded(SMFICTX* context, Step step, Callback&& callback) noexcept {
  try {
    return toStatus(std::forward<Callback>(callback)());
  } catch (const std::exception&) {
    const bool awaited = step != Step::abort && step != Step::close;
    if (awaited) Runtime::get().sharedState().interruptions.add(Interruption::noMemory);
    if (SessionHolder* const holder = holderOf(context)) return toStatus((*holder)->fail(step));
    // There is no session, so there is nothing that could be lost but this event.
    if (step == Step::negotiate) return SMFIS_ALL_OPTS;
    return awaited ? SMFIS_TEMPFAIL : SMFIS_CONTINUE;
  }
}

// Passes an event to the session; `fill(batch, event)` adds its arguments.
template <class Fill>
sfsistat handle(SMFICTX* context, Step step, Fill&& fill) noexcept {
  return guarded(context, step, [&] { return sessionOf(context).handle(step, std::forward<Fill>(fill)); });
}

sfsistat handle(SMFICTX* context, Step step) noexcept {
  return handle(context, step, [](Batch&, Event&) {});
}

void addStrings(Batch& batch, char** strings) {
  for (; *strings != nullptr; ++strings) batch.addArgument(*strings);
}

// JS sees the same numbers of address families on every platform: Linux's (lib/session/hostaddr.ts).
enum Family : uint32_t { kUnspecified = 0, kUnix = 1, kInet = 2, kInet6 = 10 };

void addAddress(Batch& batch, Event& event, const sockaddr* address) {
  char printed[INET6_ADDRSTRLEN];
  if (address == nullptr) return;
  if (address->sa_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(address);
    event.numbers[0] = kInet;
    event.numbers[1] = ntohs(in->sin_port);
    batch.addArgument(inet_ntop(AF_INET, &in->sin_addr, printed, sizeof printed));
  } else if (address->sa_family == AF_INET6) {
    const auto* const in6 = reinterpret_cast<const sockaddr_in6*>(address);
    event.numbers[0] = kInet6;
    event.numbers[1] = ntohs(in6->sin6_port);
    event.numbers[2] = ntohl(in6->sin6_flowinfo);
    event.numbers[3] = in6->sin6_scope_id;
    batch.addArgument(inet_ntop(AF_INET6, &in6->sin6_addr, printed, sizeof printed));
  } else if (address->sa_family == AF_UNIX) {
    event.numbers[0] = kUnix;
    batch.addArgument(reinterpret_cast<const sockaddr_un*>(address)->sun_path);
  }
}

// libmilter passes the frame's buffer on without checking for a final NUL, in this callback alone: a peer
// that sends none must not make us read past the end. The buffer comes from malloc.
std::string_view boundedString(const char* text) {
  if (text == nullptr) return {};
#if defined(__linux__) || defined(__FreeBSD__)  // glibc, musl, jemalloc
  return {text, strnlen(text, malloc_usable_size(const_cast<char*>(text)))};
#else
  return text;
#endif
}

sfsistat onNegotiate(SMFICTX* context, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
                     unsigned long* pf0, unsigned long* pf1, unsigned long* pf2, unsigned long* pf3) {
  return guarded(context, Step::negotiate, [&] {
    NegotiationCache& cache = Runtime::get().negotiationCache();
    cache.forget(context);
    const uint32_t offer[4] = {static_cast<uint32_t>(f0), static_cast<uint32_t>(f1),
                               static_cast<uint32_t>(f2), static_cast<uint32_t>(f3)};
    Session& session = beginSession(context);
    const Verdict verdict = session.negotiate(offer);
    const NegotiatedOptions& options = session.negotiatedOptions();
    if (verdict == Verdict::cont) {
      *pf0 = options.actions;
      *pf1 = options.protocol | options.added;
      *pf2 = 0;
      *pf3 = 0;
    }
    cache.keep(context, options);
    return verdict;
  });
}

sfsistat onConnect(SMFICTX* context, char* hostname, _SOCK_ADDR* address) {
  return handle(context, Step::connect, [&](Batch& batch, Event& event) {
    batch.addArgument(hostname);
    addAddress(batch, event, address);
  });
}

sfsistat onHelo(SMFICTX* context, char* name) {
  return handle(context, Step::helo, [&](Batch& batch, Event&) { batch.addArgument(name); });
}

sfsistat onEnvfrom(SMFICTX* context, char** arguments) {
  return handle(context, Step::envfrom, [&](Batch& batch, Event&) { addStrings(batch, arguments); });
}

sfsistat onEnvrcpt(SMFICTX* context, char** arguments) {
  return handle(context, Step::envrcpt, [&](Batch& batch, Event&) { addStrings(batch, arguments); });
}

sfsistat onData(SMFICTX* context) { return handle(context, Step::data); }

sfsistat onHeader(SMFICTX* context, char* name, char* value) {
  return handle(context, Step::header, [&](Batch& batch, Event&) {
    batch.addArgument(name);
    batch.addArgument(value);
  });
}

sfsistat onEoh(SMFICTX* context) { return handle(context, Step::eoh); }

sfsistat onBody(SMFICTX* context, unsigned char* chunk, size_t length) {
  return handle(context, Step::body, [&](Batch& batch, Event&) {
    batch.addArgument({reinterpret_cast<const char*>(chunk), length});
  });
}

sfsistat onEom(SMFICTX* context) { return handle(context, Step::eom); }

sfsistat onAbort(SMFICTX* context) { return handle(context, Step::abort); }

// libmilter may hold its pool's lock here (R4).
sfsistat onClose(SMFICTX* context) {
  return guarded(context, Step::close, [&] {
    endSession(context);
    return Verdict::cont;
  });
}

sfsistat onUnknown(SMFICTX* context, const char* command) {
  return handle(context, Step::unknown,
                [&](Batch& batch, Event&) { batch.addArgument(boundedString(command)); });
}

}  // namespace

smfiDesc describeFilter(char* name, unsigned long flags) {
  smfiDesc description{};
  description.xxfi_name = name;
  description.xxfi_version = SMFI_VERSION;
  description.xxfi_flags = flags;
  description.xxfi_negotiate = onNegotiate;
  description.xxfi_connect = onConnect;
  description.xxfi_helo = onHelo;
  description.xxfi_envfrom = onEnvfrom;
  description.xxfi_envrcpt = onEnvrcpt;
  description.xxfi_data = onData;
  description.xxfi_header = onHeader;
  description.xxfi_eoh = onEoh;
  description.xxfi_body = onBody;
  description.xxfi_eom = onEom;
  description.xxfi_unknown = onUnknown;
  description.xxfi_abort = onAbort;
  description.xxfi_close = onClose;
  return description;
}

}  // namespace milter
