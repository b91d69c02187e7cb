// Which BLAS this build holds; both are empty without one.
#pragma once
#include <string>

namespace offramp {

std::string blas_name();  // "OpenBLAS 0.3.21 ..."
std::string blas_core();  // the kernel set it chose for this CPU: "SkylakeX"

}  // namespace offramp
