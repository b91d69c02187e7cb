// The context that --device, --precision and --threads ask for.
#pragma once
#include <string>

#include "kernels/exec.h"

namespace offramp::cli {

cuda::Math math_named(const std::string& precision);  // "f32", "tf32", "bf16"

// Throws Error(failed) when there is no card.
Exec make_exec(const std::string& device, const std::string& precision, int threads);

}  // namespace offramp::cli
