#include "nn/layers/squeeze_excite.h"

#include "autograd/ops/binary.h"
#include "autograd/ops/pool.h"

namespace offramp::nn {

SqueezeExcite::SqueezeExcite(const std::string& name, i64 c, i64 reduced, Registry& registry)
    : reduce_({.name = name + ".reduce", .c_in = c, .c_out = reduced, .bias = true, .act = Act::relu},
              registry),
      expand_({.name = name + ".expand", .c_in = reduced, .c_out = c, .bias = true, .act = Act::hard_sigmoid},
              registry) {}

Variable SqueezeExcite::forward(Exec& exec, const Variable& x, Mode mode) {
  const Variable mean = ops::global_avg_pool(exec, x);
  return ops::mul(exec, x, expand_.forward(exec, reduce_.forward(exec, mean, mode), mode));
}

}  // namespace offramp::nn
