// The threads of one block as fibers, and where each of them waits.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cuda/emulate/fibers.h"
#include "kernels/cuda/launch.h"

namespace offramp::cuda::emulate {

inline constexpr int kMostThreads = 1024;

enum class State : u8 { ready, at_warp_barrier, at_block_barrier, at_grid_barrier, done };

struct Copy {
  void* to;
  const void* from;  // null: zeros
  int bytes;
};

struct Fiber {
  Context context;
  State state = State::ready;
  unsigned mask = 0;  // of the warp barrier
  std::vector<Copy> copies;
  std::vector<std::size_t> groups;  // ends of the committed groups in `copies`

  // The oldest copies are done, all but the last `groups_left` groups.
  void finish_copies(std::size_t groups_left);
};

struct Warp {
  alignas(64) std::byte slots[32][64];
};

class Block {
 public:
  explicit Block(int threads);

  // From the beginning, as block `index` (0, 1, ... with x fastest) of the launch; shared memory is NaN.
  void begin(i64 index, const Launch& launch);
  // Runs the threads, between two waits in this order, until all are done (true) or all that are not wait
  // for the other blocks.
  bool advance(const std::vector<int>& order, const std::function<void()>& thread);
  void go_on();  // behind the other blocks' barrier

  // Of the thread that runs now.
  Fiber& fiber() { return fibers_[std::size_t(current_)]; }
  Warp& warp() { return warps_[std::size_t(current_ / 32)]; }
  int lane() const { return current_ % 32; }
  std::byte* shared();
  void wait_as(State state);

 private:
  struct Unmap {
    void operator()(std::byte* stacks) const;
    std::size_t bytes;
  };
  static void entry();
  bool release();

  std::unique_ptr<std::byte, Unmap> stacks_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  std::vector<std::byte> shared_, declared_;  // declared: while another block runs
  Context scheduler_;
  i64 index_ = 0;
  int current_ = 0;
};

// The one that runs now.
Block& running();

}  // namespace offramp::cuda::emulate
