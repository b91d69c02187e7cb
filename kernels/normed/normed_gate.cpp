#include <algorithm>

#include "kernels/cuda/built.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

// Values that are worth a visit to another thread.
constexpr i64 kUnitFloats = i64{1} << 14;

i64 sample_grain(const NormedDims& d) { return std::max<i64>(1, kUnitFloats / (d.hw * d.c_in)); }

// Per sample: y = factor * sum over its rows.
void fold_samples(Exec& exec, const NormedDims& d, const Normed& in, const float* g, float factor, float* y) {
  const NormedPasses& passes = normed_passes(exec.target());
  parallel_for(exec, d.rows / d.hw, sample_grain(d), [&](i64 begin, i64 end, int) {
    for (i64 n = begin; n < end; ++n) {
      const i64 at = n * d.hw * d.c_in;
      passes.fold({.c = d.c_in,
                   .g = g ? g + at : nullptr,
                   .x = in.x + at,
                   .mean = in.mean,
                   .scale = in.scale,
                   .beta = in.beta,
                   .act = in.act,
                   .factor = factor,
                   .out = y + n * d.c_in},
                  d.hw);
    }
  });
}

}  // namespace

void normed_mean(Exec& exec, const NormedMeanCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_mean(exec, call);
  if (note(exec,
           normed_row(exec.target(), "normed_mean/any/portable", "normed_mean/any/avx2",
                      "normed_mean/any/avx512"),
           normed_pass_cost(call.dims, 5, 1, 0)))
    fold_samples(exec, call.dims, call.in, nullptr, 1.0f / float(call.dims.hw), call.y);
}

void normed_gate_grad(Exec& exec, const NormedGateGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_gate_grad(exec, call);
  if (note(exec,
           normed_row(exec.target(), "normed_gate_grad/any/portable", "normed_gate_grad/any/avx2",
                      "normed_gate_grad/any/avx512"),
           normed_pass_cost(call.dims, 6, 2, 0)))
    fold_samples(exec, call.dims, call.in, call.g, 1, call.y);
}

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
      float* const sums = partial + at * 2 * d.c_in;
      passes.slope({.c = d.c_in,
                    .g = call.g + first,
                    .g_at = rows_by(d.c_in),
                    .x = call.in.x + first,
                    .mean = call.in.mean,
                    .scale = call.in.scale,
                    .beta = call.in.beta,
                    .act = call.in.act,
                    .gate = call.in.gate ? call.in.gate + at * d.c_in : nullptr,
                    .shift = call.shift ? call.shift + at * d.c_in : nullptr,
                    .shift_factor = call.shift_factor,
                    .dz = call.dz ? call.dz + first : nullptr,
                    .sum = sums,
                    .sum_with_d = sums + d.c_in},
                   std::min(chunk, d.rows - row));
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
