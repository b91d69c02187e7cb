// Element-wise add and mul, and their gradients.
//   x, y, gy, gx [n,hw,c]   z, gz [n,hw,c], or [n,1,c] with broadcast (squeeze-excite scaling)
// Doors never throw; double runs the reference. gx may be gy, and may be x when gz is not wanted.
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/binary/binary_call.h"
#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::kernels {

constexpr i64 binary_count(const BinaryDims& d) { return d.n * d.hw * d.c; }
constexpr i64 binary_z_count(const BinaryDims& d) { return d.broadcast ? d.n * d.c : binary_count(d); }

constexpr Cost binary_cost(const BinaryDims& d) {
  return {.other_ops = binary_count(d),
          .bytes_read = 4 * (binary_count(d) + binary_z_count(d)),
          .bytes_written = 4 * binary_count(d)};
}

// Cost of both gradients. mul: one product each; a broadcast z adds the sum over hw.
constexpr Cost binary_grad_cost(const BinaryDims& d) {
  const i64 products = d.kind == BinaryKind::mul ? 2 * binary_count(d) : 0;
  const i64 operands = d.kind == BinaryKind::mul ? binary_count(d) + binary_z_count(d) : 0;
  return {.other_ops = products + (d.broadcast ? binary_count(d) : 0),
          .bytes_read = 4 * (binary_count(d) + operands),
          .bytes_written = 4 * (binary_count(d) + binary_z_count(d))};
}

void binary(Exec& exec, const BinaryCall& call);
void binary(Exec& exec, const BinaryCallT<double>& call);
void binary_grad(Exec& exec, const BinaryGradCall& call);
void binary_grad(Exec& exec, const BinaryGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void binary(Exec& exec, const BinaryCallT<Bf16>& call);
void binary_grad(Exec& exec, const BinaryGradCallT<Bf16>& call);
namespace cuda {
void binary(Exec& exec, const BinaryCallT<float>& call);
void binary_grad(Exec& exec, const BinaryGradCallT<float>& call);
}  // namespace cuda

// One row computes units [begin, end). A unit is an element, with two exceptions under broadcast: a pixel
// (n*hw of them) forward, a sample (n) backward.
template <class Call>
struct BinaryRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const BinaryDims&);
  void (*run)(const Call&, i64 begin, i64 end);
};
std::span<const BinaryRow<BinaryCall>> binary_table();
std::span<const BinaryRow<BinaryGradCall>> binary_grad_table();

}  // namespace offramp::kernels
