// Memory whose address never changes, so that another thread may look at it while it is filled or kept.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace milter {

class Block {
 public:
  explicit Block(size_t capacity) : bytes_(new char[capacity]), capacity_(capacity) { total_ += capacity; }
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Not initialised: it may hold what earlier owners of the memory have left. Only what has been written to
  // it may be shown to a handler.
  char* data() { return bytes_.get(); }
  const char* data() const { return bytes_.get(); }
  size_t capacity() const { return capacity_; }

  // Gives the block's pages back to the system if all blocks together take much memory. The contents are
  // lost: a Buffer that a handler has kept by mistake then reads as zeros. Only one thread at a time may call
  // this.
  void discard();

 private:
  static inline std::atomic<size_t> total_{0};  // of all blocks that have not been discarded

  const std::unique_ptr<char[]> bytes_;
  const size_t capacity_;
  bool discarded_ = false;
};

}  // namespace milter
