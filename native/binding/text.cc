#include "binding/text.h"

#include <cstdint>
#include <cstring>

namespace milter {
namespace {

constexpr char16_t kEscapeBase = 0xDC00;

bool isAscii(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    if (word & 0x8080808080808080u) return false;
  }
  for (; at < end; ++at) {
    if (*at & 0x80) return false;
  }
  return true;
}

struct Sequence {
  unsigned length;  // 0: not well-formed
  uint32_t code;
};

// The well-formed UTF-8 sequence at the start of `bytes` (Unicode 15, table 3-7).
Sequence decodeOne(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {1, lead};
  unsigned length;
  uint32_t code;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
    code = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    code = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    code = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {0, 0};
  }
  if (bytes.size() < length) return {0, 0};
  for (unsigned i = 1; i < length; ++i) {
    if (byte(i) < low || byte(i) > high) return {0, 0};
    code = code << 6 | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {length, code};
}

std::u16string decode(std::string_view bytes) {
  std::u16string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto [length, code] = decodeOne(bytes);
    if (length == 0) {
      text.push_back(static_cast<char16_t>(kEscapeBase + static_cast<uint8_t>(bytes[0])));
    } else if (code >= 0x10000) {
      text.push_back(static_cast<char16_t>(0xD7C0 + (code >> 10)));
      text.push_back(static_cast<char16_t>(0xDC00 + (code & 0x3FF)));
    } else {
      text.push_back(static_cast<char16_t>(code));
    }
    bytes.remove_prefix(length ? length : 1);
  }
  return text;
}

void appendUtf8(std::string& bytes, uint32_t code) {
  const auto push = [&](uint32_t byte) { bytes.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | code >> 6);
    push(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    push(0xE0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3F));
    push(0x80 | (code & 0x3F));
  } else {
    push(0xF0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3F));
    push(0x80 | (code >> 6 & 0x3F));
    push(0x80 | (code & 0x3F));
  }
}

std::string encode(std::u16string_view text) {
  constexpr uint32_t kReplacement = 0xFFFD;
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const uint32_t unit = text[i];
    const uint32_t next = i + 1 < text.size() ? text[i + 1] : 0;
    if (unit < 0xD800 || unit > 0xDFFF) {
      appendUtf8(bytes, unit);
    } else if (unit <= 0xDBFF && next >= 0xDC00 && next <= 0xDFFF) {
      appendUtf8(bytes, 0x10000 + ((unit - 0xD800) << 10) + (next - 0xDC00));
      ++i;
    } else if (unit >= kEscapeBase + 0x80u && unit <= kEscapeBase + 0xFFu) {
      bytes.push_back(static_cast<char>(unit - kEscapeBase));
    } else {
      appendUtf8(bytes, kReplacement);
    }
  }
  return bytes;
}

}  // namespace

napi_value toJs(napi_env env, std::string_view bytes) {
  napi_value value = nullptr;
  if (isAscii(bytes)) {  // as most text in mail is; V8 stores it with one byte per character
    napi_create_string_latin1(env, bytes.data(), bytes.size(), &value);
  } else {
    const std::u16string text = decode(bytes);
    napi_create_string_utf16(env, text.data(), text.size(), &value);
  }
  return value;
}

std::string textFrom(const Napi::Value& value) {
  const napi_env env = value.Env();
  size_t length = 0;
  if (napi_get_value_string_utf16(env, value, nullptr, 0, &length) != napi_ok) {
    throw Napi::TypeError::New(env, "a string is expected");
  }
  std::u16string text(length + 1, u'\0');  // Node-API adds a NUL
  napi_get_value_string_utf16(env, value, text.data(), text.size(), &length);
  text.resize(length);
  if (text.find(u'\0') != std::u16string::npos) throw Napi::TypeError::New(env, "a NUL inside a string");
  return encode(text);
}

}  // namespace milter
