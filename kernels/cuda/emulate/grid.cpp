// A launch: its blocks one after the other, or all at once where they may wait for each other.
#ifdef OFFRAMP_CUDA_EMULATED
#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "kernels/cuda/emulate/block.h"
#include "kernels/cuda/language.h"
#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp::cuda::emulate {
namespace {

i64 blocks_of(const Launch& l) { return l.grid * l.grid_y * l.grid_z; }

// What a card of compute capability 8.0 or later refuses.
void require_possible(const Gpu& gpu, const Launch& l) {
  constexpr i64 kMostX = (i64{1} << 31) - 1, kMostYZ = 65535, kMostShared = 227 * 1024;
  const auto refuse = [&](const std::string& what) {
    throw Error(std::string("cuda: ") + l.op + ": " + what);
  };
  if (l.block > kMostThreads || l.block < 1) refuse("block of " + std::to_string(l.block) + " threads");
  if (l.shared > kMostShared) refuse(std::to_string(l.shared) + " bytes of shared memory");
  if (l.grid > kMostX || l.grid_y > kMostYZ || l.grid_z > kMostYZ)
    refuse("grid of " + std::to_string(l.grid) + " x " + std::to_string(l.grid_y) + " x " +
           std::to_string(l.grid_z) + " blocks");
  // A block each for sure; how many more depends on registers.
  if (l.together && blocks_of(l) > gpu.properties().multiprocessors)
    refuse(std::to_string(blocks_of(l)) + " blocks that wait for each other on " +
           std::to_string(gpu.properties().multiprocessors) + " multiprocessors");
}

// 0 .. count - 1 in an order that the seed decides.
std::vector<int> shuffled(i64 count, u64 seed, u64 stream) {
  std::vector<int> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed, stream);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  return order;
}

// Blocks of so many threads, kept from launch to launch for their stacks (some of them: each may hold
// megabytes); never destroyed, as other static objects may launch to the end.
class Kept {
 public:
  explicit Kept(int threads) : blocks_(by_threads()[std::size_t(threads)]), threads_(threads) {}
  ~Kept() { blocks_.resize(std::min<std::size_t>(blocks_.size(), 24)); }
  Block& operator[](std::size_t i) {
    while (blocks_.size() <= i) blocks_.push_back(std::make_unique<Block>(threads_));
    return *blocks_[i];
  }

 private:
  using Blocks = std::vector<std::unique_ptr<Block>>;
  static std::vector<Blocks>& by_threads() {
    static auto& all = *new std::vector<Blocks>(kMostThreads + 1);
    return all;
  }
  Blocks& blocks_;
  int threads_;
};

void run_together(const Launch& l, const std::function<void()>& thread, const std::vector<int>& threads,
                  const std::vector<int>& order, Kept& blocks) {
  for (std::size_t i = 0; i < order.size(); ++i) blocks[i].begin(order[i], l);
  for (;;) {
    std::size_t done = 0;
    for (std::size_t i = 0; i < order.size(); ++i) done += blocks[i].advance(threads, thread);
    if (done == order.size()) return;
    if (done > 0) throw Error("blocks wait for others that are done");
    for (std::size_t i = 0; i < order.size(); ++i) blocks[i].go_on();
  }
}

void run_now(const Launch& l, const std::function<void()>& thread) {
  static std::mutex one_launch;
  static u64 launches = 0;
  const std::lock_guard lock(one_launch);
  const u64 number = launches++;
  const std::vector<int> threads = shuffled(l.block, 1, number), blocks = shuffled(blocks_of(l), 2, number);
  block_size = {unsigned(l.block), 1, 1};
  grid_size = {unsigned(l.grid), unsigned(l.grid_y), unsigned(l.grid_z)};
  const MemoryInUse in_use;
  try {
    Kept kept(l.block);
    if (l.together) return run_together(l, thread, threads, blocks, kept);
    for (const int index : blocks) {
      kept[0].begin(index, l);
      if (!kept[0].advance(threads, thread))
        throw Error("blocks wait for each other in a launch that need not run them together");
    }
  } catch (const std::exception& e) {
    throw Error(std::string("cuda: ") + l.op + ": " + e.what());
  }
}

}  // namespace

void run(Gpu& gpu, const Launch& launch, std::function<void()> thread) {
  require_possible(gpu, launch);
  submit(gpu.stream(), [launch, thread = std::move(thread)] { run_now(launch, thread); });
}

}  // namespace offramp::cuda::emulate
#endif
