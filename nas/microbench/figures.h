// What a measured time says about a piece of work.
#pragma once
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/roofline/roofline.h"
#include "nas/microbench/work.h"

namespace offramp::nas::microbench {

// In the order of the columns: GMAC/s (GOP/s without multiply-accumulates), GB/s of operands touched once,
// ops/B = arithmetic intensity (a multiply-accumulate is two operations), peak% = dense MACs at the FMA peak,
// valid% = depthwise: MACs inside the image at that peak, roof% = the least time this machine could take
// (Roofline) over the time measured.
using Figures = std::vector<std::pair<std::string_view, double>>;
Figures figures(const Work& work, double seconds, const kernels::Roofline& roofline, int threads,
                i64 weight_footprint);

}  // namespace offramp::nas::microbench
