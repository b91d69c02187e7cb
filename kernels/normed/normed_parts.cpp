#include "kernels/normed/normed_parts.h"

#include <algorithm>

#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

// Channels a thread takes: a few microseconds' worth of additions.
i64 channel_grain(i64 chunks) { return std::clamp<i64>(65536 / std::max<i64>(chunks, 1), 64, 1024); }

}  // namespace

void finish_statistics(Exec& exec, i64 rows, i64 c, i64 chunk, const float* y, const float* partial,
                       const NormOut& out) {
  const NormedMoments all{rows, c, chunk, y, partial, out.gamma, out.eps, out.mean, out.var, out.scale};
  const NormedPasses& passes = normed_passes(exec.target());
  parallel_for(exec, c, channel_grain((rows + chunk - 1) / chunk),
               [&](i64 begin, i64 end, int) { passes.moments(all, begin, end); });
}

void finish_sums(Exec& exec, i64 rows, i64 c, i64 chunks, const float* partial, const float* scale,
                 const NormGradOut& out) {
  const NormedSums all{rows,    c,          chunks,    partial,     scale,     out.var,
                       out.eps, out.ggamma, out.gbeta, out.of_mean, out.of_var};
  const NormedPasses& passes = normed_passes(exec.target());
  parallel_for(exec, c, channel_grain(chunks),
               [&](i64 begin, i64 end, int) { passes.sums(all, begin, end); });
}

const float* read_tile(const NormedPasses& passes, const Normed& in, i64 c, i64 hw, i64 row, i64 rows,
                       float* scratch) {
  if (!in.mean) return in.x + row * c;
  passes.read({.c = c,
               .step = c,
               .x = in.x + row * c,
               .mean = in.mean,
               .scale = in.scale,
               .beta = in.beta,
               .act = in.act,
               .gate = in.gate ? in.gate + row / hw * c : nullptr,
               .hw = hw,
               .row = row % hw,
               .residual = nullptr,
               .out = scratch,
               .out_at = rows_by(c)},
              rows);
  return scratch;
}

NormedForm form_of(const NormedGrad& gy, i64 c, i64 row, float* out, NormedLayout out_at) {
  return {.c = c,
          .step = c,
          .dz = gy.dz + row * c,
          .y = gy.y + row * c,
          .mean = gy.mean,
          .scale = gy.scale,
          .of_mean = gy.of_mean,
          .of_var = gy.of_var,
          .out = out,
          .out_at = out_at};
}

NormedSlope slope_of(const Normed& in, i64 c, i64 row, const float* g, float* dz, float* sums) {
  return {.c = c,
          .step = c,
          .g = g,
          .g_at = rows_by(c),
          .x = in.x + row * c,
          .mean = in.mean,
          .scale = in.scale,
          .beta = in.beta,
          .act = in.act,
          .gate = nullptr,
          .shift = nullptr,
          .shift_factor = 1,
          .dz = dz,
          .sum = sums,
          .sum_with_d = sums + c};
}

NormedTile statistics_of(i64 c, float* y, float* sums) {
  return {.c = c,
          .step = c,
          .tile = y,
          .tile_at = rows_by(c),
          .residual = nullptr,
          .y = y,
          .sum = sums,
          .squares = sums + c};
}

}  // namespace offramp::kernels
