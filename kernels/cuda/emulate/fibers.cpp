#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/fibers.h"

#include <cstdint>

#if !defined(__x86_64__)
#error "device kernels are emulated on x86-64 only"
#endif

// The registers that a callee must keep, System V ABI; swapcontext would add a system call to each change.
asm(R"(
.text
.globl offramp_switch_fiber
.type offramp_switch_fiber, @function
offramp_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size offramp_switch_fiber, .-offramp_switch_fiber
)");
extern "C" void offramp_switch_fiber(void** from, void* to);

namespace offramp::cuda::emulate {

void switch_to(Context& from, const Context& to) {
  offramp_switch_fiber(&from.stack_pointer, to.stack_pointer);
}

Context make_context(std::byte* stack, std::size_t bytes, void (*entry)()) {
  auto top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) & ~std::uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top);
  // As if entry had been called: its return address (never used) above, the stack 8 off a multiple of 16.
  *--words = nullptr;
  *--words = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--words = nullptr;
  return {words};
}

}  // namespace offramp::cuda::emulate
#endif
