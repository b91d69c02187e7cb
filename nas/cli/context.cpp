#include "nas/cli/context.h"

#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"

namespace offramp::cli {

cuda::Math math_named(const std::string& precision) {
  return precision == "f32" ? cuda::Math::f32 : precision == "tf32" ? cuda::Math::tf32 : cuda::Math::bf16;
}

Exec make_exec(const std::string& device, const std::string& precision, int threads) {
  if constexpr (cuda::kBuilt)
    if (device == "cuda") return Exec(cuda::Gpu::instance(), math_named(precision), threads);
  return Exec(default_target(), threads);
}

}  // namespace offramp::cli
