// discard() gives a block's memory back to the system, but only if all blocks together take much memory.
#include "bridge/block.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "check.h"

using namespace milter;

namespace {

constexpr size_t kLarge = size_t{256} * 1024;
// More than all blocks together may take before memory is given back.
constexpr size_t kMany = 300;

void fill(Block& block) { std::memset(block.data(), 'x', block.capacity()); }

// How much of a block is as it was filled.
size_t filled(const Block& block) {
  return static_cast<size_t>(std::count(block.data(), block.data() + block.capacity(), 'x'));
}

std::vector<std::unique_ptr<Block>> manyBlocks() {
  std::vector<std::unique_ptr<Block>> blocks;
  for (size_t i = 0; i < kMany; ++i) {
    blocks.push_back(std::make_unique<Block>(kLarge));
    fill(*blocks.back());
  }
  return blocks;
}

void leavesFewBlocksToMalloc() {
  Block block(kLarge);
  fill(block);
  block.discard();
  CHECK(filled(block) == kLarge);
}

void givesThePagesOfOneOfManyBack() {
  const auto blocks = manyBlocks();
  Block& block = *blocks[kMany / 2];
  block.discard();
  block.discard();
  CHECK(filled(block) < kLarge / 8);  // what shares a page with others' memory stays
  for (size_t i = 0; i < kMany; ++i) CHECK(i == kMany / 2 || filled(*blocks[i]) == kLarge);
  fill(block);  // its address is as good as before
  CHECK(filled(block) == kLarge);
}

void leavesSmallBlocksAlone() {
  const auto blocks = manyBlocks();
  Block small(4096);
  fill(small);
  small.discard();
  CHECK(filled(small) == small.capacity());
}

void countsNoBlockTwice() {
  auto blocks = manyBlocks();
  for (const auto& block : blocks) block->discard();
  blocks.clear();
  leavesFewBlocksToMalloc();
  blocks = manyBlocks();
  blocks.clear();
  leavesFewBlocksToMalloc();
  givesThePagesOfOneOfManyBack();
}

}  // namespace

int main() {
  leavesFewBlocksToMalloc();
  givesThePagesOfOneOfManyBack();
  leavesSmallBlocksAlone();
  countsNoBlockTwice();
}
