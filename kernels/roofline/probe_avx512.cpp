#include "kernels/roofline/probe_rows.h"
#include "kernels/vec/avx512.h"

#include "kernels/roofline/body.inc"

namespace offramp::kernels {
const Probe probe_avx512 = kProbe;
}  // namespace offramp::kernels
