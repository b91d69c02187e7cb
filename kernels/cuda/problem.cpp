#ifdef OFFRAMP_CUDA
#include "kernels/cuda/problem.h"

#include "kernels/cuda/launch.h"

namespace offramp::cuda {

Problem& problem() {
  static Problem last;
  return last;
}

std::string Problem::dims() const {
  std::string text;
  for (std::size_t i = 0; i < count_; ++i)
    text += (i ? " " : "") + std::string(fields_[i].name) + "=" + std::to_string(fields_[i].value);
  return text;
}

std::string Problem::text() const {
  const std::string of = dims();
  return std::string(row_) + (of.empty() ? "" : " " + of);
}

Error launch_error(const Launch& l, const std::string& reason) {
  const Problem& last = problem();
  // A launch whose door noted nothing: what came before it may still help.
  const std::string of = last.row() == l.op    ? last.dims() + "; "
                         : !last.row().empty() ? "after " + last.text() + "; "
                                               : "";
  return Error(std::string("cuda: ") + l.op + ": " + reason + " (" + of + "grid " + std::to_string(l.grid) +
               " x " + std::to_string(l.grid_y) + " x " + std::to_string(l.grid_z) + ", block " +
               std::to_string(l.block) + ", shared " + std::to_string(l.shared) + ")");
}

}  // namespace offramp::cuda
#endif
