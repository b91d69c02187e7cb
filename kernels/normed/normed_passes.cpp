#include <algorithm>

#include "kernels/cuda/built.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
void normed_slope(Exec& exec, const NormedSlopeCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_slope(exec, call);
  const NormedDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_slope/any/portable", "normed_slope/any/avx2",
                       "normed_slope/any/avx512"),
            normed_pass_cost(d, kNormedGradOps, 2, call.dz ? 1 : 0)))
    return;
  const NormedPasses& passes = normed_passes(exec.target());
  // Chunks of whole samples when something is per sample.
  const bool by_sample = call.in.gate || call.shift;
  const i64 chunk = by_sample ? d.hw : std::clamp<i64>(kUnitFloats / d.c_in, 32, 1024);
  const i64 chunks = (d.rows + chunk - 1) / chunk;
  float* const partial = exec.shared_scratch(chunks * 2 * d.c_in);
  parallel_for(exec, chunks, std::max<i64>(1, kUnitFloats / (chunk * d.c_in)), [&](i64 begin, i64 end, int) {
    for (i64 at = begin; at < end; ++at) {
      const i64 row = at * chunk, first = row * d.c_in;
      NormedSlope slope = slope_of(call.in, d.c_in, row, call.g + first, call.dz ? call.dz + first : nullptr,
                                   partial + at * 2 * d.c_in);
      slope.gate = call.in.gate ? call.in.gate + at * d.c_in : nullptr;
      slope.shift = call.shift ? call.shift + at * d.c_in : nullptr;
      slope.shift_factor = call.shift_factor;
      passes.slope(slope, std::min(chunk, d.rows - row));
    }
  });
  finish_sums(exec, d.rows, d.c_in, chunks, partial, call.in.scale, call.out);
}

void normed_add(Exec& exec, const NormedAddCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_add(exec, call);
  const NormedDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_add/any/portable", "normed_add/any/avx2",
                       "normed_add/any/avx512"),
            normed_pass_cost(d, 5, call.residual ? 2 : 1, 1)))
    return;
  const NormedPasses& passes = normed_passes(exec.target());
  parallel_for(exec, d.rows, std::clamp<i64>(kUnitFloats / d.c_in, 32, 1024), [&](i64 begin, i64 end, int) {
    const i64 at = begin * d.c_in;
    passes.read({.c = d.c_in,
                 .step = d.c_in,
                 .x = call.in.x + at,
                 .mean = call.in.mean,
                 .scale = call.in.scale,
                 .beta = call.in.beta,
                 .act = call.in.act,
                 .gate = nullptr,
                 .hw = 1,
                 .row = 0,
                 .residual = call.residual ? call.residual + at : nullptr,
                 .out = call.y + at,
                 .out_at = rows_by(d.c_in)},
                end - begin);
  });
}

}  // namespace offramp::kernels
