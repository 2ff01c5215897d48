#include "libmilter/calls.h"

#include <algorithm>
#include <array>
#include <utility>

namespace milter {
namespace {

// libmilter's prototypes take pointers to non-const characters that they only read.
char* text(const std::string& value) { return const_cast<char*>(value.c_str()); }
char* textOrNull(const Action& action) { return action.hasSecond ? text(action.second) : nullptr; }

constexpr size_t kMaxReplyLines = 32;

template <size_t... I>
int setmlreply(SMFICTX* context, const char* code, const char* extended,
               const std::array<const char*, kMaxReplyLines>& lines, std::index_sequence<I...>) {
  // The list ends at the first null pointer. The last argument ends a full list.
  return smfi_setmlreply(context, code, extended, lines[I]..., static_cast<const char*>(nullptr));
}

}  // namespace

const char* LibmilterCalls::getsymval(const std::string& name) {
  return smfi_getsymval(context_, text(name));
}

bool LibmilterCalls::setreply(const SmtpReply& reply) {
  const auto& lines = reply.lines;
  char* const extended = reply.extended.empty() ? nullptr : text(reply.extended);
  if (lines.size() <= 1) {
    char* const only = lines.empty() ? nullptr : text(lines.front());
    return smfi_setreply(context_, text(reply.code), extended, only) == MI_SUCCESS;
  }
  if (lines.size() > kMaxReplyLines) return false;
  std::array<const char*, kMaxReplyLines> pointers{};
  for (size_t i = 0; i < lines.size(); ++i) pointers[i] = lines[i].c_str();
  return setmlreply(context_, reply.code.c_str(), extended, pointers,
                    std::make_index_sequence<kMaxReplyLines>()) == MI_SUCCESS;
}

bool LibmilterCalls::setsymlist(int stage, const std::string& macros) {
  return smfi_setsymlist(context_, stage, text(macros)) == MI_SUCCESS;
}

bool LibmilterCalls::replacebody(const std::string& body) {
  // smfi_replacebody splits the body into frames itself, but takes its length as an int.
  constexpr size_t kMaxLength = size_t{1} << 30;
  size_t done = 0;
  do {
    const size_t length = std::min(body.size() - done, kMaxLength);
    auto* const start = reinterpret_cast<unsigned char*>(text(body)) + done;
    if (smfi_replacebody(context_, start, static_cast<int>(length)) != MI_SUCCESS) return false;
    done += length;
  } while (done < body.size());
  return true;
}

bool LibmilterCalls::perform(const Action& action) {
  switch (action.kind) {
    case ActionKind::addheader:
      return smfi_addheader(context_, text(action.first), text(action.second)) == MI_SUCCESS;
    case ActionKind::insheader:
      return smfi_insheader(context_, action.index, text(action.first), text(action.second)) == MI_SUCCESS;
    case ActionKind::chgheader:
      return smfi_chgheader(context_, text(action.first), action.index, textOrNull(action)) == MI_SUCCESS;
    case ActionKind::addrcpt:
      return smfi_addrcpt(context_, text(action.first)) == MI_SUCCESS;
    case ActionKind::addrcptPar:
      return smfi_addrcpt_par(context_, text(action.first), textOrNull(action)) == MI_SUCCESS;
    case ActionKind::delrcpt:
      return smfi_delrcpt(context_, text(action.first)) == MI_SUCCESS;
    case ActionKind::replacebody:
      return replacebody(action.first);
    case ActionKind::chgfrom:
      return smfi_chgfrom(context_, text(action.first), textOrNull(action)) == MI_SUCCESS;
    case ActionKind::quarantine:
      return smfi_quarantine(context_, text(action.first)) == MI_SUCCESS;
    case ActionKind::progress:
      return smfi_progress(context_) == MI_SUCCESS;
  }
  return false;
}

}  // namespace milter
