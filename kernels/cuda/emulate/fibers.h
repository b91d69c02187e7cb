// Threads of a block as fibers: each has a stack of its own and runs until it waits.
#pragma once
#include <cstddef>
#include <functional>

namespace offramp::cuda::emulate {

// One way of control: switch_to saves the present one in `from` and goes on with `to`.
struct Context {
  void* stack_pointer = nullptr;
};
void switch_to(Context& from, const Context& to);

// A context that will call entry() on the given stack; entry must never return.
Context make_context(std::byte* stack, std::size_t bytes, void (*entry)());

}  // namespace offramp::cuda::emulate
