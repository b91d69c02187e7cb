#include "kernels/roofline/probe_rows.h"
#include "kernels/vec/avx2.h"

#include "kernels/roofline/body.inc"

namespace offramp::kernels {
const Probe probe_avx2 = kProbe;
}  // namespace offramp::kernels
