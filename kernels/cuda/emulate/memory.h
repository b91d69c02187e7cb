// The emulated card's memory and its stream, and what tests do to them.
#pragma once
#include <functional>

#include "kernels/cuda/runtime.h"

namespace offramp::cuda {

struct Launch;

namespace emulate {

// While one lives, device memory can be reached; otherwise the host that touches it faults, as it would with
// a card.
class MemoryInUse {
 public:
  MemoryInUse();
  ~MemoryInUse();
};

// While it lives, the card has `bytes` beside those that were in use when it was made.
class MemoryCap {
 public:
  explicit MemoryCap(i64 bytes);
  ~MemoryCap();
  MemoryCap(const MemoryCap&) = delete;
  MemoryCap& operator=(const MemoryCap&) = delete;
};

// Bytes copied from the host's memory to the card's, so far.
i64 bytes_sent();
// Times that the host waited for a stream, so far.
i64 waits();

// Unless it is empty: called before every launch, which fails when it throws.
extern std::function<void(const Launch&)> before_launch;

// Runs `work`, or notes it for the graph that is being captured.
void submit(Stream stream, std::function<void()> work);

}  // namespace emulate
}  // namespace offramp::cuda
