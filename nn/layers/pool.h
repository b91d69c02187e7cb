// Pooling layers.
#pragma once
#include "autograd/ops/pool.h"
#include "nn/layers/layer.h"

namespace offramp::nn {

class Pool : public Layer {
 public:
  explicit Pool(const LayerSpec& spec)
      : max_(spec.kind == LayerSpec::Kind::max_pool),
        options_{.kernel = spec.kernel, .stride = spec.stride, .pad = spec.pad} {}
  Variable forward(Exec& exec, const Variable& x, Mode) override {
    return max_ ? ops::max_pool2d(exec, x, options_) : ops::avg_pool2d(exec, x, options_);
  }

 private:
  bool max_;
  ops::PoolOptions options_;
};

class GlobalAvgPool : public Layer {
 public:
  Variable forward(Exec& exec, const Variable& x, Mode) override { return ops::global_avg_pool(exec, x); }
};

}  // namespace offramp::nn
