#include "nas/microbench/figures.h"

namespace offramp::nas::microbench {

Figures figures(const Work& work, double seconds, const kernels::Roofline& roofline, int threads,
                i64 weight_footprint) {
  const Cost& cost = work.cost;
  const double bytes = double(cost.bytes_read + cost.bytes_written);
  const double peak = roofline.macs_per_second * threads;
  Figures f;
  if (cost.macs > 0)
    f.emplace_back("GMAC/s", double(cost.macs) / seconds / 1e9);
  else
    f.emplace_back("GOP/s", double(cost.other_ops) / seconds / 1e9);
  f.emplace_back("GB/s", bytes / seconds / 1e9);
  f.emplace_back("ops/B", double(2 * cost.macs + cost.other_ops) / bytes);
  if (cost.macs > 0) f.emplace_back("peak%", 100 * double(cost.macs) / peak / seconds);
  if (work.valid_macs > 0) f.emplace_back("valid%", 100 * double(work.valid_macs) / peak / seconds);
  kernels::Roofline::Call call{
      .cost = cost, .weight_bytes = work.weight_bytes, .weight_footprint = weight_footprint};
  if (work.valid_macs > 0) call.cost.macs = work.valid_macs;
  f.emplace_back("roof%", 100 * roofline.seconds(call, threads) / seconds);
  return f;
}

}  // namespace offramp::nas::microbench
