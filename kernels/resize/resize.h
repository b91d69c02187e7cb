// Bilinear and bicubic image resizing and its gradient (the transposed map).
//   x, gx [n,h,w,c]   y, gy [n,out_h,out_w,c]
// Half-pixel centres, no antialiasing, taps outside the image clamped to its edge, cubic a = -0.75: what
// torch.nn.functional.interpolate(align_corners=False) computes. Source: Keys 1981 (cubic convolution).
// double runs the reference.
#pragma once
#include <span>
#include <string_view>

#include "kernels/bf16.h"
#include "kernels/cost.h"
#include "kernels/exec.h"
#include "kernels/resize/resize_rows.h"

namespace offramp::kernels {

// Taps along one axis.
constexpr i64 resize_taps(ResizeKind kind) { return kind == ResizeKind::bilinear ? 2 : 4; }

// other_ops: multiply-adds, one operation each. An output value blends `taps` rows in each of `taps` columns
// and then these columns: taps * taps + taps. The coefficients, shared by a whole row or column, are not
// counted.
constexpr Cost resize_cost(const ResizeDims& d) {
  const i64 taps = resize_taps(d.kind), outputs = d.n * d.out_h * d.out_w * d.c;
  return {.macs = 0,
          .other_ops = outputs * (taps * taps + taps),
          .bytes_read = 4 * d.n * d.h * d.w * d.c,
          .bytes_written = 4 * outputs};
}
constexpr Cost resize_grad_cost(const ResizeDims& d) {
  const Cost forward = resize_cost(d);
  return {.macs = 0,
          .other_ops = forward.other_ops,
          .bytes_read = forward.bytes_written,
          .bytes_written = forward.bytes_read};
}

// Throws Error(input) when a dimension is below 1.
void require_resize(const ResizeDims& d);

void resize(Exec& exec, const ResizeCall& call);
void resize(Exec& exec, const ResizeCallT<double>& call);
void resize_grad(Exec& exec, const ResizeGradCall& call);
void resize_grad(Exec& exec, const ResizeGradCallT<double>& call);
// On the card. Bf16 lives nowhere else.
void resize(Exec& exec, const ResizeCallT<Bf16>& call);
void resize_grad(Exec& exec, const ResizeGradCallT<Bf16>& call);
namespace cuda {
void resize(Exec& exec, const ResizeCallT<float>& call);
void resize_grad(Exec& exec, const ResizeGradCallT<float>& call);
}  // namespace cuda

// Rows compute units [begin, end) - output rows (sample * out_h + row) forward, samples backward - with
// `line` [w * c] as scratch.
template <class Call>
struct ResizeRow {
  std::string_view name;
  Target target;
  bool (*accepts)(const ResizeDims&);
  void (*run)(const Call&, ResizeAxis rows, ResizeAxis cols, i64 begin, i64 end, float* line);
};
std::span<const ResizeRow<ResizeCall>> resize_table();
std::span<const ResizeRow<ResizeGradCall>> resize_grad_table();

}  // namespace offramp::kernels
