#include "kernels/normed/normed_parts.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

// Channels a thread takes: a few microseconds' worth of additions.
constexpr i64 kMostChannels = 64;
i64 channel_grain(i64 chunks) { return std::clamp<i64>(16384 / std::max<i64>(chunks, 1), 16, kMostChannels); }

}  // namespace

void finish_statistics(Exec& exec, i64 rows, i64 c, i64 chunk, const float* y, const float* partial,
                       const NormOut& out) {
  const i64 chunks = (rows + chunk - 1) / chunk;
  parallel_for(exec, c, channel_grain(chunks), [&](i64 begin, i64 end, int) {
    const i64 count = end - begin;
    double sum[kMostChannels] = {}, squares[kMostChannels] = {};
    const float* part = partial + begin;
    const float* origin = y + begin;
    for (i64 first = 0; first < rows; first += chunk, part += 2 * c) {
      const double n = double(std::min(chunk, rows - first));
      const float* shift = y + first * c + begin;
      for (i64 i = 0; i < count; ++i) {
        const double moved = double(shift[i]) - double(origin[i]), p = part[i];
        sum[i] += p + n * moved;
        squares[i] += double(part[c + i]) + moved * (2 * p + n * moved);
      }
    }
    for (i64 i = 0; i < count; ++i) {
      const double mean = sum[i] / double(rows);
      out.mean[begin + i] = float(double(origin[i]) + mean);
      const float var = float(std::max(squares[i] / double(rows) - mean * mean, 0.0));
      out.var[begin + i] = var;
      out.scale[begin + i] = out.gamma[begin + i] / std::sqrt(var + out.eps);
    }
  });
}

void finish_sums(Exec& exec, i64 rows, i64 c, i64 chunks, const float* partial, const float* scale,
                 const NormGradOut& out) {
  parallel_for(exec, c, channel_grain(chunks), [&](i64 begin, i64 end, int) {
    const i64 count = end - begin;
    double sum[kMostChannels] = {}, with_d[kMostChannels] = {};
    const float* part = partial + begin;
    for (i64 chunk = 0; chunk < chunks; ++chunk, part += 2 * c)
      for (i64 i = 0; i < count; ++i) {
        sum[i] += double(part[i]);
        with_d[i] += double(part[c + i]);
      }
    for (i64 i = 0; i < count; ++i) {
      const i64 ch = begin + i;
      const double deviation = std::sqrt(double(out.var[ch]) + double(out.eps));
      const double gbeta = sum[i], ggamma = with_d[i] / deviation;
      out.gbeta[ch] = float(gbeta);
      out.ggamma[ch] = float(ggamma);
      out.of_mean[ch] = float(double(scale[ch]) * gbeta / double(rows));
      out.of_var[ch] = float(double(scale[ch]) * ggamma / (deviation * double(rows)));
    }
  });
}

const float* read_tile(const NormedPasses& passes, const Normed& in, i64 c, i64 hw, i64 row, i64 rows,
                       float* scratch) {
  if (!in.mean) return in.x + row * c;
  passes.read({.c = c,
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
          .dz = gy.dz + row * c,
          .y = gy.y + row * c,
          .mean = gy.mean,
          .scale = gy.scale,
          .of_mean = gy.of_mean,
          .of_var = gy.of_var,
          .out = out,
          .out_at = out_at};
}

}  // namespace offramp::kernels
