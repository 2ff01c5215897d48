// The chunks of batches, as Buffers that look at the batches' memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "binding/napi_setup.h"
#include "bridge/batch.h"

namespace milter {

// A chunk with a Buffer of its own, which keeps the memory of the batch for as long as it lives.
napi_value ownBuffer(napi_env env, const std::shared_ptr<Block>& block, std::string_view chunk);

// The chunks of one session whose handlers keep none: parts of one Buffer for all batches of a message, since
// they come in the same memory. So there is only one object that the garbage collector has to finalise.
class BatchView {
 public:
  explicit BatchView(napi_env env) : env_(env) {}
  ~BatchView() { forget(); }
  BatchView(const BatchView&) = delete;
  BatchView& operator=(const BatchView&) = delete;

  napi_value chunk(const Batch& batch, std::string_view chunk);

 private:
  // A Buffer of the batch's bytes, and no others: what follows them may belong to another message
  // (Block::data).
  napi_value bufferOf(const Batch& batch);
  void forget();

  const napi_env env_;
  // Weak, so that a message's memory is not kept until the next one comes.
  napi_ref buffer_ = nullptr;
  const Block* block_ = nullptr;  // the Buffer's, and alive if that is
  size_t size_ = 0;
};

}  // namespace milter
