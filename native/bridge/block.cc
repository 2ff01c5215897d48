#include "bridge/block.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace milter {
namespace {

// As much as this is left to malloc for the next blocks: new pages for each block would cost a third of the
// CPU time of a body of 1 MiB (docs/performance.md). Many sessions at once would leave several times as much
// behind in the arenas of their threads.
constexpr size_t kPlenty = size_t{64} * 1024 * 1024;
// Below this size, the system call costs more than the pages are worth.
constexpr size_t kWorthDiscarding = size_t{32} * 1024;

}  // namespace

Block::~Block() {
  discard();
  if (!discarded_) total_ -= capacity_;
}

void Block::discard() {
  if (discarded_ || capacity_ < kWorthDiscarding || total_ <= kPlenty) return;
  // The whole pages only: malloc's own data is around them.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<uintptr_t>(data());
  const uintptr_t begin = (address + page - 1) / page * page;
  const uintptr_t end = (address + capacity_) / page * page;
  if (begin >= end || madvise(data() + (begin - address), end - begin, MADV_DONTNEED) != 0) return;
  discarded_ = true;
  total_ -= capacity_;
}

}  // namespace milter
