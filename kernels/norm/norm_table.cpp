// The list of norm rows, and the doors that choose from it.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/cuda/built.h"
#include "kernels/norm/norm.h"
#include "kernels/norm/norm_ref.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

bool any(const NormAccepts&) { return true; }
[[maybe_unused]] bool more_than_half(const NormAccepts& a) { return a.dims.c > 8; }  // of a 16-wide vector

constexpr auto kTable = std::to_array<NormRow>({
#if defined(__x86_64__)
  {"norm/any/avx512", "norm_train/any/avx512", "norm_grad/any/avx512", Target::avx512, more_than_half,
   norm_apply_avx512, norm_statistics_avx512,  norm_sums_avx512,       norm_gx_avx512},
      {"norm/any/avx2", "norm_train/any/avx2", "norm_grad/any/avx2", Target::avx2, any,
       norm_apply_avx2, norm_statistics_avx2,  norm_sums_avx2,       norm_gx_avx2},
#endif
      {"norm/any/portable", "norm_train/any/portable", "norm_grad/any/portable", Target::portable, any,
       norm_apply_portable, norm_statistics_portable,  norm_sums_portable,       norm_gx_portable},
});

// Rows of one chunk: about 32 KB of x, long enough that the partial sums are few. A function of shape alone.
i64 chunk_rows(const NormDims& d) { return std::clamp<i64>(8192 / std::max<i64>(d.c, 1), 32, 1024); }
i64 chunk_count(const NormDims& d) { return (d.rows + chunk_rows(d) - 1) / chunk_rows(d); }

void fill_scale(const NormDims& d, const float* gamma, const float* var, float eps, float* scale) {
  for (i64 ch = 0; ch < d.c; ++ch) scale[ch] = gamma[ch] / std::sqrt(var[ch] + eps);
}

void apply(Exec& exec, const NormRow& row, const NormDims& d, const NormApply& work) {
  parallel_for(exec, d.rows, chunk_rows(d), [&](i64 begin, i64 end, int) { row.apply(work, begin, end); });
}

// partial holds, chunk after chunk, the sums and the squares of deviations from the chunk's first row. Moves
// all of them to the deviation from the first row of x, in double, and adds them in chunk order.
void combine_statistics(const NormTrainCall& call, const float* partial) {
  const auto [rows, c] = call.dims;
  const i64 chunk = chunk_rows(call.dims);
  std::vector<double> sums(size_t(2 * c));
  double *sum = sums.data(), *squares = sum + c;
  for (i64 begin = 0; begin < rows; begin += chunk, partial += 2 * c) {
    const double n = double(std::min(chunk, rows - begin));
    const float* shift = call.x + begin * c;
    for (i64 ch = 0; ch < c; ++ch) {
      const double moved = double(shift[ch]) - double(call.x[ch]), part = partial[ch];
      sum[ch] += part + n * moved;
      squares[ch] += double(partial[c + ch]) + moved * (2 * part + n * moved);
    }
  }
  for (i64 ch = 0; ch < c; ++ch) {
    const double mean = sum[ch] / double(rows);
    call.mean[ch] = float(double(call.x[ch]) + mean);
    call.var[ch] = float(std::max(squares[ch] / double(rows) - mean * mean, 0.0));
  }
}

}  // namespace

void norm(Exec& exec, const NormCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::norm(exec, call);
  const auto& row = select_row(kTable, exec.target(), NormAccepts{call.dims, call.act});
  if (!note(exec, row.name, norm_cost(call.dims, call.act), call)) return;
  float* scale = exec.shared_scratch(call.dims.c);
  fill_scale(call.dims, call.gamma, call.var, call.eps, scale);
  apply(exec, row, call.dims, {call.dims.c, call.x, call.mean, scale, call.beta, call.act, call.y});
}

void norm_train(Exec& exec, const NormTrainCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::norm_train(exec, call);
  const auto& row = select_row(kTable, exec.target(), NormAccepts{call.dims, call.act});
  if (!note(exec, row.train_name, norm_train_cost(call.dims, call.act))) return;
  const auto [rows, c] = call.dims;
  const i64 chunk = chunk_rows(call.dims), channels = c;
  float* scale = exec.shared_scratch(c + 2 * c * chunk_count(call.dims));
  float* partial = scale + c;
  parallel_for(exec, rows, chunk, [&](i64 begin, i64 end, int) {
    float* sum = partial + begin / chunk * 2 * channels;
    row.statistics({channels, call.x, sum, sum + channels}, begin, end);
  });
  combine_statistics(call, partial);
  fill_scale(call.dims, call.gamma, call.var, call.eps, scale);
  apply(exec, row, call.dims, {c, call.x, call.mean, scale, call.beta, call.act, call.y});
}

void norm_grad(Exec& exec, const NormGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::norm_grad(exec, call);
  const auto& row = select_row(kTable, exec.target(), NormAccepts{call.dims, call.act});
  if (!note(exec, row.grad_name, norm_grad_cost(call.dims, call.act))) return;
  const i64 rows = call.dims.rows, c = call.dims.c, chunk = chunk_rows(call.dims);
  const bool through_statistics = call.gx && call.batch_statistics;
  const bool sums_wanted = through_statistics || call.ggamma || call.gbeta;
  float* scale = exec.shared_scratch(3 * c + 2 * c * chunk_count(call.dims));
  float *of_mean = scale + c, *of_var = of_mean + c, *partial = of_var + c;
  fill_scale(call.dims, call.gamma, call.var, call.eps, scale);
  NormBackward work{.c = c,
                    .x = call.x,
                    .gy = call.gy,
                    .mean = call.mean,
                    .scale = scale,
                    .beta = call.beta,
                    .act = call.act,
                    .sum = nullptr,
                    .sum_with_d = nullptr,
                    .of_mean = nullptr,
                    .of_var = nullptr,
                    .gx = call.gx};
  if (sums_wanted) {
    parallel_for(exec, rows, chunk, [&](i64 begin, i64 end, int) {
      NormBackward mine = work;
      mine.sum = partial + begin / chunk * 2 * c;
      mine.sum_with_d = mine.sum + c;
      row.sums(mine, begin, end);
    });
    std::vector<double> sum(size_t(2 * c));
    for (i64 at = 0; at < chunk_count(call.dims); ++at)
      for (i64 i = 0; i < 2 * c; ++i) sum[size_t(i)] += double(partial[at * 2 * c + i]);
    for (i64 ch = 0; ch < c; ++ch) {
      const double deviation = std::sqrt(double(call.var[ch]) + double(call.eps));
      const double gbeta = sum[size_t(ch)], ggamma = sum[size_t(c + ch)] / deviation;
      if (call.gbeta) call.gbeta[ch] = float(gbeta);
      if (call.ggamma) call.ggamma[ch] = float(ggamma);
      of_mean[ch] = float(double(scale[ch]) * gbeta / double(rows));
      of_var[ch] = float(double(scale[ch]) * ggamma / (deviation * double(rows)));
    }
  }
  if (!call.gx) return;
  if (through_statistics) work.of_mean = of_mean, work.of_var = of_var;
  parallel_for(exec, rows, chunk, [&](i64 begin, i64 end, int) { row.gx(work, begin, end); });
}

void norm(Exec& exec, const NormCallT<double>& call) {
  if (note(exec, "norm/any/reference", norm_cost(call.dims, call.act))) norm_reference(call);
}
void norm_train(Exec& exec, const NormTrainCallT<double>& call) {
  if (note(exec, "norm_train/any/reference", norm_train_cost(call.dims, call.act)))
    norm_train_reference(call);
}
void norm_grad(Exec& exec, const NormGradCallT<double>& call) {
  if (note(exec, "norm_grad/any/reference", norm_grad_cost(call.dims, call.act))) norm_grad_reference(call);
}

std::span<const NormRow> norm_table() { return kTable; }

}  // namespace offramp::kernels
