#include "binding/batch_view.h"

#include <cstdint>
#include <iterator>
#include <utility>

#include "binding/napi_check.h"

namespace milter {
namespace {

// Below this size a copy is cheaper than an external buffer with a finalizer (docs/performance.md).
constexpr size_t kWorthSharing = size_t{16} * 1024;

// The bytes as a Buffer that keeps the block; null if the runtime allows no external memory.
napi_value share(napi_env env, const std::shared_ptr<Block>& block, std::string_view bytes) {
  auto* const held = new std::shared_ptr<Block>(block);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_buffer(
      env, bytes.size(), const_cast<char*>(bytes.data()),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Block>*>(hint); }, held, &buffer);
  if (status == napi_ok) return buffer;
  delete held;
  if (status != napi_no_external_buffers_allowed) check(status);
  return nullptr;
}

napi_value copy(napi_env env, std::string_view bytes) {
  napi_value buffer;
  check(napi_create_buffer_copy(env, bytes.size(), bytes.data(), nullptr, &buffer));
  return buffer;
}

}  // namespace

napi_value ownBuffer(napi_env env, const std::shared_ptr<Block>& block, std::string_view chunk) {
  napi_value buffer = nullptr;
  if (chunk.size() >= kWorthSharing) buffer = share(env, block, chunk);
  return buffer != nullptr ? buffer : copy(env, chunk);
}

napi_value BatchView::chunk(const Batch& batch, std::string_view chunk) {
  const napi_value whole = chunk.size() >= kWorthSharing ? bufferOf(batch) : nullptr;
  if (whole == nullptr) return copy(env_, chunk);
  napi_value subarray;
  check(napi_get_named_property(env_, whole, "subarray", &subarray));
  const auto begin = static_cast<uint32_t>(chunk.data() - batch.block()->data());
  const auto end = static_cast<uint32_t>(begin + chunk.size());
  const napi_value range[] = {numberToJs(env_, begin), numberToJs(env_, end)};
  napi_value part;
  check(napi_call_function(env_, whole, subarray, std::size(range), range, &part));
  return part;
}

napi_value BatchView::bufferOf(const Batch& batch) {
  napi_value buffer = nullptr;
  if (buffer_ != nullptr && block_ == batch.block().get() && size_ >= batch.bytes()) {
    check(napi_get_reference_value(env_, buffer_, &buffer));
  }
  if (buffer != nullptr) return buffer;
  buffer = share(env_, batch.block(), {batch.block()->data(), batch.bytes()});
  if (buffer == nullptr) return nullptr;
  forget();
  check(napi_create_reference(env_, buffer, 0, &buffer_));
  block_ = batch.block().get();
  size_ = batch.bytes();
  return buffer;
}

void BatchView::forget() {
  if (buffer_ != nullptr) napi_delete_reference(env_, std::exchange(buffer_, nullptr));
}

}  // namespace milter
