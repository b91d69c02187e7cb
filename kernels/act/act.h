// Element-wise activations and their gradients.
//   x, y, gy, gx [count]
// Doors never throw; double runs the reference. Sources: Howard et al. 2019 (hard_swish), types.h
// (definitions).
#pragma once
#include <span>
#include <string_view>

#include "kernels/act/act_call.h"
#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::kernels {

// Arithmetic operations of one apply_act, each min, max and exp counted as one.
constexpr i64 act_ops(Act act) {
  switch (act) {
    case Act::none:
      return 0;
    case Act::relu:
      return 1;
    case Act::relu6:
      return 2;
    case Act::hard_sigmoid:
      return 4;
    case Act::hard_swish:
      return 5;
    case Act::sigmoid:
      return 4;
  }
  return 0;
}
// Arithmetic operations of one act_slope; the cases a comparison decides count as one each.
constexpr i64 act_slope_ops(Act act) {
  switch (act) {
    case Act::none:
      return 0;
    case Act::relu:
      return 1;
    case Act::relu6:
      return 2;
    case Act::hard_sigmoid:
      return 3;
    case Act::hard_swish:
      return 5;
    case Act::sigmoid:
      return 6;
  }
  return 0;
}

constexpr Cost act_cost(const ActDims& d) {
  return {.other_ops = d.count * act_ops(d.act), .bytes_read = 4 * d.count, .bytes_written = 4 * d.count};
}
constexpr Cost act_grad_cost(const ActDims& d) {
  return {.other_ops = d.count * (1 + act_slope_ops(d.act)),
          .bytes_read = 8 * d.count,
          .bytes_written = 4 * d.count};
}

void activate(Exec& exec, const ActCall& call);
void activate(Exec& exec, const ActCallT<double>& call);
void activate_grad(Exec& exec, const ActGradCall& call);
void activate_grad(Exec& exec, const ActGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void activate(Exec& exec, const ActCallT<Bf16>& call);
void activate_grad(Exec& exec, const ActGradCallT<Bf16>& call);
namespace cuda {
void activate(Exec& exec, const ActCall& call);
void activate_grad(Exec& exec, const ActGradCall& call);
}  // namespace cuda

// One row computes elements [begin, end).
template <class Call>
struct ActRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const ActDims&);
  void (*run)(const Call&, i64 begin, i64 end);
};
std::span<const ActRow<ActCall>> act_table();
std::span<const ActRow<ActGradCall>> act_grad_table();

}  // namespace offramp::kernels
