// The one door to threads. Chunk borders depend on count and grain alone, so the number of threads cannot
// change a result; who computes a chunk is decided by claiming from a counter.
#pragma once
#include <type_traits>
#include <utility>

#include "kernels/exec.h"

namespace offramp {

namespace detail {
using RangeBody = void (*)(void* context, i64 begin, i64 end, int worker);
void parallel_ranges(const Exec& exec, i64 count, i64 grain, RangeBody body, void* context);
}  // namespace detail

// Calls body(begin, end, worker) for [0,grain), [grain,2*grain), ... up to count; worker < exec.threads().
// The body must not throw. One chunk (count <= grain) runs in the calling thread.
template <class Body>
void parallel_for(const Exec& exec, i64 count, i64 grain, Body&& body) {
  using B = std::remove_reference_t<Body>;
  detail::parallel_ranges(
      exec, count, grain,
      [](void* context, i64 begin, i64 end, int worker) { (*static_cast<B*>(context))(begin, end, worker); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace offramp
