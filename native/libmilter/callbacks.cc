#include "libmilter/callbacks.h"

#include <arpa/inet.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <sys/un.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cstring>
#include <memory>
#include <string_view>

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
              "Verdict is libmilter's sfsistat");

static_assert(kProtocolSkip == SMFIP_SKIP, "the bridge knows libmilter's bit");

// SMFICTX's private data is a shared_ptr on the heap: the JS side may hold the session longer.
using SessionHolder = std::shared_ptr<Session>;
SessionHolder* holderOf(SMFICTX* context) { return static_cast<SessionHolder*>(smfi_getpriv(context)); }

Session& begin(SMFICTX* context) {
  auto* const holder = new SessionHolder(
      std::make_shared<Session>(Runtime::get().shared(), std::make_unique<LibmilterCalls>(context)));
  smfi_setpriv(context, holder);
  Runtime::get().tcpQuickAck().onSession();
  return **holder;
}

// Whether the context is one whose session has ended before, on the connection that it still has. A list of
// macros that was once chosen cannot be chosen again in the life of a context, and after the negotiation it
// goes nowhere.
bool markSessionEnded(SMFICTX* context) {
  char none[] = "";
  return smfi_setsymlist(context, SMFIM_CONNECT, none) != MI_SUCCESS;
}

// The context's session; begun here where the MTA reuses its connection and does not negotiate again
// (QUIT_NC). A peer that never negotiates gets here too, perhaps with a context at a place in memory where
// another one was.
Session& sessionOf(SMFICTX* context) {
  if (SessionHolder* const holder = holderOf(context)) {
    Runtime::get().tcpQuickAck().onCallback();
    return **holder;
  }
  Session& session = begin(context);
  const auto cached = Runtime::get().negotiationCache().take(context);
  if (markSessionEnded(context) && cached) session.adopt(*cached);
  return session;
}

void end(SMFICTX* context) {
  const std::unique_ptr<SessionHolder> holder(holderOf(context));
  if (!holder) {
    Runtime::get().noteConnectionWithoutSession();
    return;
  }
  smfi_setpriv(context, nullptr);
  Runtime::get().negotiationCache().keep(context, (*holder)->negotiatedOptions());
  markSessionEnded(context);
  (*holder)->close();
}

sfsistat status(Verdict verdict) { return static_cast<sfsistat>(verdict); }

void addStrings(Batch& batch, char** strings) {
  for (; *strings; ++strings) batch.add(*strings);
}

// JS sees one numbering of families on every platform, Linux's (lib/addon/constants.ts).
enum Family : uint32_t { kNone = 0, kUnix = 1, kInet = 2, kInet6 = 10 };

void addAddress(Batch& batch, Event& event, const sockaddr* address) {
  char printed[INET6_ADDRSTRLEN];
  if (!address) return;
  if (address->sa_family == AF_INET) {
    const auto* const in = reinterpret_cast<const sockaddr_in*>(address);
    event.numbers[0] = kInet;
    event.numbers[1] = ntohs(in->sin_port);
    batch.add(inet_ntop(AF_INET, &in->sin_addr, printed, sizeof printed));
  } else if (address->sa_family == AF_INET6) {
    const auto* const in6 = reinterpret_cast<const sockaddr_in6*>(address);
    event.numbers[0] = kInet6;
    event.numbers[1] = ntohs(in6->sin6_port);
    event.numbers[2] = ntohl(in6->sin6_flowinfo);
    event.numbers[3] = in6->sin6_scope_id;
    batch.add(inet_ntop(AF_INET6, &in6->sin6_addr, printed, sizeof printed));
  } else if (address->sa_family == AF_UNIX) {
    event.numbers[0] = kUnix;
    batch.add(reinterpret_cast<const sockaddr_un*>(address)->sun_path);
  }
}

sfsistat onNegotiate(SMFICTX* context, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
                     unsigned long* pf0, unsigned long* pf1, unsigned long* pf2, unsigned long* pf3) {
  Runtime::get().negotiationCache().forget(context);
  const uint32_t offer[4] = {static_cast<uint32_t>(f0), static_cast<uint32_t>(f1), static_cast<uint32_t>(f2),
                             static_cast<uint32_t>(f3)};
  NegotiatedOptions options;
  const Verdict verdict = begin(context).negotiate(offer, options);
  if (verdict == Verdict::cont) {
    *pf0 = options.actions;
    *pf1 = options.protocol | options.added;
    *pf2 = 0;
    *pf3 = 0;
  }
  return status(verdict);
}

sfsistat onConnect(SMFICTX* context, char* hostname, _SOCK_ADDR* address) {
  return status(sessionOf(context).handle(Step::connect, [&](Batch& batch, Event& event) {
    batch.add(hostname);
    addAddress(batch, event, address);
  }));
}

sfsistat onHelo(SMFICTX* context, char* name) {
  return status(sessionOf(context).handle(Step::helo, [&](Batch& batch, Event&) { batch.add(name); }));
}

sfsistat onEnvfrom(SMFICTX* context, char** arguments) {
  return status(
      sessionOf(context).handle(Step::envfrom, [&](Batch& batch, Event&) { addStrings(batch, arguments); }));
}

sfsistat onEnvrcpt(SMFICTX* context, char** arguments) {
  return status(
      sessionOf(context).handle(Step::envrcpt, [&](Batch& batch, Event&) { addStrings(batch, arguments); }));
}

sfsistat onData(SMFICTX* context) { return status(sessionOf(context).handle(Step::data)); }

sfsistat onHeader(SMFICTX* context, char* name, char* value) {
  return status(sessionOf(context).handle(Step::header, [&](Batch& batch, Event&) {
    batch.add(name);
    batch.add(value);
  }));
}

sfsistat onEoh(SMFICTX* context) { return status(sessionOf(context).handle(Step::eoh)); }

sfsistat onBody(SMFICTX* context, unsigned char* chunk, size_t length) {
  return status(sessionOf(context).handle(Step::body, [&](Batch& batch, Event&) {
    batch.add({reinterpret_cast<const char*>(chunk), length});
  }));
}

sfsistat onEom(SMFICTX* context) { return status(sessionOf(context).handle(Step::eom)); }

sfsistat onAbort(SMFICTX* context) { return status(sessionOf(context).handle(Step::abort)); }

// libmilter may hold its pool's lock here (R4).
sfsistat onClose(SMFICTX* context) {
  end(context);
  return SMFIS_CONTINUE;
}

// libmilter hands on the frame's buffer without looking for its NUL, alone among the callbacks: a peer that
// sends none must not make us read on. The buffer is malloc's own.
std::string_view boundedString(const char* text) {
  if (!text) return {};
#if defined(__GLIBC__)
  return {text, strnlen(text, malloc_usable_size(const_cast<char*>(text)))};
#else
  return text;
#endif
}

sfsistat onUnknown(SMFICTX* context, const char* command) {
  return status(sessionOf(context).handle(Step::unknown,
                                          [&](Batch& batch, Event&) { batch.add(boundedString(command)); }));
}

}  // namespace

smfiDesc describeFilter(char* name, unsigned long flags) {
  smfiDesc description{};
  description.xxfi_name = name;
  description.xxfi_version = SMFI_VERSION;
  description.xxfi_flags = flags;
  description.xxfi_connect = onConnect;
  description.xxfi_helo = onHelo;
  description.xxfi_envfrom = onEnvfrom;
  description.xxfi_envrcpt = onEnvrcpt;
  description.xxfi_header = onHeader;
  description.xxfi_eoh = onEoh;
  description.xxfi_body = onBody;
  description.xxfi_eom = onEom;
  description.xxfi_abort = onAbort;
  description.xxfi_close = onClose;
  description.xxfi_unknown = onUnknown;
  description.xxfi_data = onData;
  description.xxfi_negotiate = onNegotiate;
  return description;
}

}  // namespace milter
