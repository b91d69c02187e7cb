#include "kernels/blas.h"

#if defined(OFFRAMP_HAS_OPENBLAS)
#include <cblas.h>
#endif

namespace offramp {

#if defined(OFFRAMP_HAS_OPENBLAS)
std::string blas_name() { return openblas_get_config(); }
std::string blas_core() { return openblas_get_corename(); }
#else
std::string blas_name() { return ""; }
std::string blas_core() { return ""; }
#endif

}  // namespace offramp
