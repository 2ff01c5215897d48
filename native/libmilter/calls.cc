#include "libmilter/calls.h"

#include <array>
#include <utility>

namespace milter {
namespace {

// libmilter's prototypes take char* and unsigned char* where they only read.
char* text(const std::string& value) { return const_cast<char*>(value.c_str()); }
char* textOrNull(const Action& action) { return action.hasSecond ? text(action.second) : nullptr; }

constexpr size_t kMaxReplyLines = 32;

template <size_t... I>
int setmlreply(SMFICTX* context, const char* code, const char* extended,
               const std::array<const char*, kMaxReplyLines>& lines, std::index_sequence<I...>) {
  // The list ends at the first null; one more stands behind a full one.
  return smfi_setmlreply(context, code, extended, lines[I]..., static_cast<const char*>(nullptr));
}

}  // namespace

const char* LibmilterCalls::getsymval(const std::string& name) {
  return smfi_getsymval(context_, text(name));
}

bool LibmilterCalls::setreply(const std::string& code, const char* extended,
                              const std::vector<std::string>& lines) {
  if (lines.size() <= 1) {
    char* const only = lines.empty() ? nullptr : text(lines.front());
    return smfi_setreply(context_, text(code), const_cast<char*>(extended), only) == MI_SUCCESS;
  }
  if (lines.size() > kMaxReplyLines) return false;
  std::array<const char*, kMaxReplyLines> pointers{};
  for (size_t i = 0; i < lines.size(); ++i) pointers[i] = lines[i].c_str();
  return setmlreply(context_, code.c_str(), extended, pointers, std::make_index_sequence<kMaxReplyLines>()) ==
         MI_SUCCESS;
}

bool LibmilterCalls::setsymlist(int stage, const std::string& macros) {
  return smfi_setsymlist(context_, stage, text(macros)) == MI_SUCCESS;
}

bool LibmilterCalls::replacebody(const std::string& body) {
  // smfi_replacebody splits into frames itself; its length is an int.
  constexpr size_t kMost = size_t{1} << 30;
  size_t done = 0;
  do {
    const size_t length = std::min(body.size() - done, kMost);
    auto* const start = reinterpret_cast<unsigned char*>(text(body)) + done;
    if (smfi_replacebody(context_, start, static_cast<int>(length)) != MI_SUCCESS) return false;
    done += length;
  } while (done < body.size());
  return true;
}

bool LibmilterCalls::perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::addheader:
      return smfi_addheader(context_, text(action.first), text(action.second)) == MI_SUCCESS;
    case Action::Kind::insheader:
      return smfi_insheader(context_, action.index, text(action.first), text(action.second)) == MI_SUCCESS;
    case Action::Kind::chgheader:
      return smfi_chgheader(context_, text(action.first), action.index, textOrNull(action)) == MI_SUCCESS;
    case Action::Kind::addrcpt:
      return smfi_addrcpt(context_, text(action.first)) == MI_SUCCESS;
    case Action::Kind::addrcptPar:
      return smfi_addrcpt_par(context_, text(action.first), textOrNull(action)) == MI_SUCCESS;
    case Action::Kind::delrcpt:
      return smfi_delrcpt(context_, text(action.first)) == MI_SUCCESS;
    case Action::Kind::replacebody:
      return replacebody(action.first);
    case Action::Kind::chgfrom:
      return smfi_chgfrom(context_, text(action.first), textOrNull(action)) == MI_SUCCESS;
    case Action::Kind::quarantine:
      return smfi_quarantine(context_, text(action.first)) == MI_SUCCESS;
    case Action::Kind::progress:
      return smfi_progress(context_) == MI_SUCCESS;
  }
  return false;
}

}  // namespace milter
