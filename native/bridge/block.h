// Memory whose address never changes, so that another thread may look at it while it is filled or kept.
#pragma once

#include <cstddef>
#include <memory>

namespace milter {

class Block {
 public:
  explicit Block(size_t capacity) : bytes_(new char[capacity]), capacity_(capacity) {}

  // Not initialised: it may hold what earlier owners of the memory have left. Only what has been written to
  // it may be shown to a handler.
  char* data() { return bytes_.get(); }
  const char* data() const { return bytes_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  const std::unique_ptr<char[]> bytes_;
  const size_t capacity_;
};

}  // namespace milter
