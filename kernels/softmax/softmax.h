// Softmax over the last axis and the two losses built on it. All subtract the row's maximum first, so logits
// of any finite size are safe.
//   x, y, gy, gx, teacher [rows,classes]   target [rows]   loss: one value
// Losses are summed in double in row order. cross_entropy and kl_div throw Error(input) when rows or classes
// < 1, cross_entropy also when a label is outside [0,classes), kl_div Error(usage) when the temperature is
// not positive; nothing has been written then. double runs the reference. y may be x; gx may be any input of
// the same shape. Sources: Szegedy et al. 2016 (label smoothing), Hinton et al. 2015 (temperature and its
// square).
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/softmax/softmax_call.h"

namespace offramp::kernels {

// Per value: max, subtract, exp, sum, then divide (softmax) or subtract twice, with one logarithm a row.
constexpr Cost softmax_cost(const SoftmaxDims& d) {
  const i64 count = d.rows * d.classes;
  return {.other_ops = d.log ? 6 * count : 5 * count - d.rows,
          .bytes_read = 4 * count,
          .bytes_written = 4 * count};
}
constexpr Cost softmax_grad_cost(const SoftmaxDims& d) {
  const i64 count = d.rows * d.classes;
  return {.other_ops = 4 * count, .bytes_read = 8 * count, .bytes_written = 4 * count};
}
// Loss and gradient together.
constexpr Cost cross_entropy_cost(i64 rows, i64 classes) {
  const i64 count = rows * classes;
  return {.other_ops = 8 * count, .bytes_read = 4 * count + 8 * rows, .bytes_written = 4 * count};
}
constexpr Cost kl_div_cost(i64 rows, i64 classes) {
  const i64 count = rows * classes;
  return {.other_ops = 16 * count, .bytes_read = 8 * count, .bytes_written = 4 * count};
}

void softmax(Exec& exec, const SoftmaxCall& call);
void softmax(Exec& exec, const SoftmaxCallT<double>& call);
void softmax_grad(Exec& exec, const SoftmaxGradCall& call);
void softmax_grad(Exec& exec, const SoftmaxGradCallT<double>& call);
void cross_entropy(Exec& exec, const CrossEntropyCall& call);
void cross_entropy(Exec& exec, const CrossEntropyCallT<double>& call);
void kl_div(Exec& exec, const KlDivCall& call);
void kl_div(Exec& exec, const KlDivCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void softmax(Exec& exec, const SoftmaxCallT<Bf16>& call);
void softmax_grad(Exec& exec, const SoftmaxGradCallT<Bf16>& call);
void cross_entropy(Exec& exec, const CrossEntropyCallT<Bf16>& call);
void kl_div(Exec& exec, const KlDivCallT<Bf16>& call);
namespace cuda {
void softmax(Exec& exec, const SoftmaxCallT<float>& call);
void softmax_grad(Exec& exec, const SoftmaxGradCallT<float>& call);
void cross_entropy(Exec& exec, const CrossEntropyCallT<float>& call);
void kl_div(Exec& exec, const KlDivCallT<float>& call);
}  // namespace cuda

// One row of the table computes matrix rows [begin, end).
struct SoftmaxRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const SoftmaxDims&);
  void (*run)(const SoftmaxCall&, i64 begin, i64 end);
};
std::span<const SoftmaxRow> softmax_table();

}  // namespace offramp::kernels
