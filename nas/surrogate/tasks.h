// Independent pieces of work, some of which are networks to train: one single-threaded context each.
#pragma once
#include <exception>
#include <vector>

#include "kernels/parallel.h"

namespace offramp::nas {

// body(i, exec) for i in [0, count), on exec's threads when there is more than one piece; an only piece gets
// the whole of `exec`. What is thrown by the lowest i is thrown again here.
template <class Body>
void run_tasks(Exec& exec, i64 count, Body&& body) {
  if (count == 1 || exec.threads() == 1) {
    for (i64 i = 0; i < count; ++i) body(i, exec);
    return;
  }
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  parallel_for(exec, count, 1, [&](i64 begin, i64 end, int) {
    for (i64 i = begin; i < end; ++i) try {
        Exec inner(exec.target(), 1);
        body(i, inner);
      } catch (...) {
        errors[std::size_t(i)] = std::current_exception();
      }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace offramp::nas
