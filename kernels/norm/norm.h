// Batch normalisation over the last axis, with the activation behind it: y = act((x - mean)/sqrt(var +
// eps)*gamma + beta).
//   x, y, gy, gx [rows,c]   mean, var (biased), gamma, beta, ggamma, gbeta [c]
// y may be x; gx may be gy. norm_grad forms the input of the activation again from x instead of storing it.
// Statistics are exact to rounding whatever the mean: deviations from each chunk's own mean, chunks combined
// in double in chunk order. Doors never throw; double runs the reference. Sources: Ioffe & Szegedy 2015;
// Chan, Golub & LeVeque 1979 (combining the chunks).
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/act/act.h"
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/norm/norm_call.h"
#include "kernels/norm/norm_rows.h"

namespace offramp::kernels {

// Per value: subtract, multiply, add, activation; per channel: scale = gamma / sqrt(var + eps).
constexpr Cost norm_cost(const NormDims& d, Act act) {
  const i64 count = d.rows * d.c;
  return {.other_ops = count * (3 + act_ops(act)) + 3 * d.c,
          .bytes_read = 4 * (count + 4 * d.c),
          .bytes_written = 4 * count};
}
// Plus the statistics: sum, deviation, its square, their sum; two divisions per channel.
constexpr Cost norm_train_cost(const NormDims& d, Act act) {
  const i64 count = d.rows * d.c;
  return norm_cost(d, act) +
         Cost{.other_ops = 4 * count + 2 * d.c, .bytes_read = 4 * count, .bytes_written = 8 * d.c};
}
// Everything wanted: x and gy are read once for the sums and once for gx.
constexpr Cost norm_grad_cost(const NormDims& d, Act act) {
  const i64 count = d.rows * d.c, dz = 4 + act_slope_ops(act);
  return {.other_ops = count * (2 * dz + 4 + 5) + 10 * d.c,
          .bytes_read = 16 * (count + d.c),
          .bytes_written = 4 * count + 8 * d.c};
}

void norm(Exec& exec, const NormCall& call);
void norm(Exec& exec, const NormCallT<double>& call);
void norm_train(Exec& exec, const NormTrainCall& call);
void norm_train(Exec& exec, const NormTrainCallT<double>& call);
void norm_grad(Exec& exec, const NormGradCall& call);
void norm_grad(Exec& exec, const NormGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void norm(Exec& exec, const NormCallT<Bf16>& call);
void norm_train(Exec& exec, const NormTrainCallT<Bf16>& call);
void norm_grad(Exec& exec, const NormGradCallT<Bf16>& call);
namespace cuda {
void norm(Exec& exec, const NormCallT<float>& call);
void norm_train(Exec& exec, const NormTrainCallT<float>& call);
void norm_grad(Exec& exec, const NormGradCallT<float>& call);
}  // namespace cuda

struct NormAccepts {
  NormDims dims;
  Act act;
};
struct NormRow {
  std::string_view name, train_name, grad_name;
  Target target;
  bool (*accepts)(const NormAccepts&);
  void (*apply)(const NormApply&, i64 begin, i64 end);
  void (*statistics)(const NormStatistics&, i64 begin, i64 end);
  void (*sums)(const NormBackward&, i64 begin, i64 end);
  void (*gx)(const NormBackward&, i64 begin, i64 end);
};
std::span<const NormRow> norm_table();

}  // namespace offramp::kernels
