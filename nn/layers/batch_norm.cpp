#include "nn/layers/batch_norm.h"

#include "kernels/recorder.h"

namespace offramp::nn {

BatchNorm::BatchNorm(const std::string& name, i64 c, Registry& registry)
    : gamma_(registry.parameter(name + ".gamma", {c}, Init::ones())),
      beta_(registry.parameter(name + ".beta", {c}, Init::zeros())),
      mean_(registry.buffer(name + ".mean", {c}, 0)),
      var_(registry.buffer(name + ".var", {c}, 1)),
      eps_(registry.options.eps),
      momentum_(registry.options.momentum) {}

Variable BatchNorm::forward(Exec& exec, const Variable& x, Act act, Mode mode) {
  const ops::BatchNormOptions options{.eps = eps_, .act = act};
  const Variable gamma = in_mode(gamma_, mode), beta = in_mode(beta_, mode);
  if (mode == Mode::evaluate) return ops::batch_norm(exec, x, gamma, beta, mean_, var_, options);
  return ops::batch_norm_train(exec, x, gamma, beta, options, running(exec, mode));
}

ops::Running BatchNorm::running(const Exec& exec, Mode mode) {
  if (exec.recorder && exec.recorder->dry) return {};
  // Averaging: the k-th batch enters with weight 1/k, the first replaces whatever was there.
  return {mean_, var_, mode == Mode::recalibrate ? 1.0 / double(++batches_seen_) : momentum_};
}

}  // namespace offramp::nn
