// Whether this build has device kernels. A door asks `if constexpr (cuda::kBuilt) if (exec.gpu())` before it
// looks at the host's table; without them the declarations of device functions stay without definitions, and
// unused.
#pragma once

namespace offramp::cuda {

#ifdef OFFRAMP_CUDA
inline constexpr bool kBuilt = true;
#else
inline constexpr bool kBuilt = false;
#endif

}  // namespace offramp::cuda
