#include "nas/cli/context.h"

#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"

namespace offramp::cli {

Exec make_exec(const std::string& device, const std::string& precision, int threads) {
  if constexpr (cuda::kBuilt)
    if (device == "cuda") {
      const cuda::Math math = precision == "f32"    ? cuda::Math::f32
                              : precision == "tf32" ? cuda::Math::tf32
                                                    : cuda::Math::bf16;
      return Exec(cuda::Gpu::instance(), math, threads);
    }
  return Exec(default_target(), threads);
}

}  // namespace offramp::cli
