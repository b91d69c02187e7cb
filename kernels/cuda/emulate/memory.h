// The emulated card's memory and its stream.
#pragma once
#include <functional>

#include "kernels/cuda/runtime.h"

namespace offramp::cuda::emulate {

// While one lives, device memory can be reached; otherwise the host that touches it faults, as it would with
// a card.
class MemoryInUse {
 public:
  MemoryInUse();
  ~MemoryInUse();
};

// Bytes copied from the host's memory to the card's, so far.
i64 bytes_sent();

// Runs `work`, or notes it for the graph that is being captured.
void submit(Stream stream, std::function<void()> work);

}  // namespace offramp::cuda::emulate
