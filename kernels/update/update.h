// Parameter updates, in place over one parameter tensor of `count` values, and the sum of squares that
// gradient clipping needs. Formulas and sources: update_call.h. Doors never throw; double runs the reference.
#pragma once
#include <span>
#include <string_view>

#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/update/update_call.h"

namespace offramp::kernels {

constexpr Cost sgd_cost(i64 count, bool nesterov) {
  return {.other_ops = (nesterov ? 9 : 7) * count, .bytes_read = 12 * count, .bytes_written = 8 * count};
}
constexpr Cost adamw_cost(i64 count) {
  return {.other_ops = 16 * count, .bytes_read = 16 * count, .bytes_written = 12 * count};
}
constexpr Cost ema_cost(i64 count) {
  return {.other_ops = 3 * count, .bytes_read = 8 * count, .bytes_written = 4 * count};
}
constexpr Cost sum_squares_cost(i64 count) { return {.other_ops = 2 * count, .bytes_read = 4 * count}; }

void sgd_update(Exec& exec, const SgdCall& call);
void sgd_update(Exec& exec, const SgdCallT<double>& call);
void adamw_update(Exec& exec, const AdamWCall& call);
void adamw_update(Exec& exec, const AdamWCallT<double>& call);
void ema_update(Exec& exec, const EmaCall& call);
void ema_update(Exec& exec, const EmaCallT<double>& call);

// Sum of x[i]^2 in double, chunk by chunk; 0 under a dry recorder.
double sum_squares(Exec& exec, i64 count, const float* x);
double sum_squares(Exec& exec, i64 count, const double* x);

// One row updates elements [begin, end).
template <class Call>
struct UpdateRow {
  std::string_view name;
  Target target;
  void (*run)(const Call&, i64 begin, i64 end);
};
struct SumSquaresRow {
  std::string_view name;
  Target target;
  double (*run)(i64 count, const float* x);
};
std::span<const UpdateRow<SgdCall>> sgd_table();
std::span<const UpdateRow<AdamWCall>> adamw_table();
std::span<const UpdateRow<EmaCall>> ema_table();
std::span<const SumSquaresRow> sum_squares_table();

}  // namespace offramp::kernels
