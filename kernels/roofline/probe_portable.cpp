#include "kernels/roofline/probe_rows.h"
#include "kernels/vec/portable.h"

#include "kernels/roofline/body.inc"

namespace offramp::kernels {
const Probe probe_portable = kProbe;
}  // namespace offramp::kernels
