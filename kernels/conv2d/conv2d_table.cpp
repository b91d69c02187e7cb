// The lists of conv2d rows, the choice among them, and the doors.
#include <array>
#include <string>
#include <vector>

#include "kernels/cuda/built.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/error.h"
#include "kernels/gemm/tile_engine.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/recorder.h"
#include "kernels/select.h"

namespace offramp::kernels {
namespace {

bool any(const Conv2dDims&) { return true; }

// What stem.inc is instantiated for.
template <i64 most_channels>
bool stem(const Conv2dDims& d) {
  return d.kernel == 3 && d.c_in == 3 && d.groups == 1 && d.stride <= 2 && d.pad <= 1 &&
         d.c_out <= most_channels;
}

template <Target target>
void run_pointwise(Exec& exec, const Conv2dCall& call) {
  conv2d_pointwise(exec, call, tile_engine(target));
}
template <Target target>
void run_indirect(Exec& exec, const Conv2dCall& call) {
  conv2d_indirect(exec, call, tile_engine(target));
}
template <Target target, StemRun& run>
void run_stem(Exec& exec, const Conv2dCall& call) {
  conv2d_stem(exec, call, tile_engine(target), run);
}
template <Target target>
void run_grad(Exec& exec, const Conv2dGradCall& call) {
  conv2d_grad_indirect(exec, call, tile_engine(target));
}

// Both gradients from one reading of gy.
template <Target target>
void run_grad_pointwise(Exec& exec, const Conv2dGradCall& call) {
  const Conv2dDims& d = call.dims;
  const i64 rows = d.n * d.h * d.w;
  run_normed_pointwise_grad(exec, target,
                            {.dims = {.rows = rows, .c_in = d.c_in, .c_out = d.c_out, .hw = rows},
                             .in = {.x = call.x},
                             .gy = {.dz = call.gy},
                             .w = call.w.data,
                             .w_row = call.w.to_next_out,
                             .gw = call.gw,
                             .gx = call.gx});
}

constexpr auto kKernels = std::to_array<Conv2dKernel>({
#if defined(__x86_64__)
  {"conv2d/1x1/avx512", Target::avx512, is_pointwise, run_pointwise<Target::avx512>},
      {"conv2d/stem/avx512", Target::avx512, stem<48>, run_stem<Target::avx512, conv2d_stem_avx512>},
      {"conv2d/indirect/avx512", Target::avx512, any, run_indirect<Target::avx512>},
      {"conv2d/1x1/avx2", Target::avx2, is_pointwise, run_pointwise<Target::avx2>},
      {"conv2d/stem/avx2", Target::avx2, stem<24>, run_stem<Target::avx2, conv2d_stem_avx2>},
      {"conv2d/indirect/avx2", Target::avx2, any, run_indirect<Target::avx2>},
#endif
      {"conv2d/1x1/portable", Target::portable, is_pointwise, run_pointwise<Target::portable>},
      {"conv2d/any/portable", Target::portable, any, run_indirect<Target::portable>},
});

constexpr auto kGradKernels = std::to_array<Conv2dGradKernel>({
#if defined(__x86_64__)
  {"conv2d_grad/1x1/avx512", Target::avx512, is_pointwise, run_grad_pointwise<Target::avx512>},
      {"conv2d_grad/1x1/avx2", Target::avx2, is_pointwise, run_grad_pointwise<Target::avx2>},
      {"conv2d_grad/indirect/avx512", Target::avx512, any, run_grad<Target::avx512>},
      {"conv2d_grad/indirect/avx2", Target::avx2, any, run_grad<Target::avx2>},
#endif
      {"conv2d_grad/any/portable", Target::portable, any, run_grad<Target::portable>},
});

// Each gradient asked for costs what the forward costs.
template <class T>
Cost grad_cost(const Conv2dGradCallT<T>& call) {
  const Conv2dDims& d = call.dims;
  const i64 x = 4 * d.n * d.h * d.w * d.c_in, y = conv2d_cost(d).bytes_written;
  const i64 w = 4 * d.c_out * d.kernel * d.kernel * (d.c_in / d.groups), macs = conv2d_cost(d).macs;
  Cost cost;
  if (call.gx) cost += {.macs = macs, .other_ops = 0, .bytes_read = y + w, .bytes_written = x};
  if (call.gw) cost += {.macs = macs, .other_ops = 0, .bytes_read = y + x, .bytes_written = w};
  return cost;
}

}  // namespace

std::span<const Conv2dKernel> conv2d_kernels() { return kKernels; }
std::span<const Conv2dGradKernel> conv2d_grad_kernels() { return kGradKernels; }
const Conv2dKernel& select_conv2d(const Conv2dDims& dims, Target target) {
  return select_row(kKernels, target, dims);
}
const Conv2dGradKernel& select_conv2d_grad(const Conv2dDims& dims, Target target) {
  return select_row(kGradKernels, target, dims);
}

void require_conv2d(const Conv2dDims& d) {
  const auto fail = [&](const std::string& wanted) {
    const auto s = [](i64 v) { return std::to_string(v); };
    throw input_error("conv2d wants " + wanted + ", got n " + s(d.n) + ", image " + s(d.h) + " x " + s(d.w) +
                      ", channels " + s(d.c_in) + " -> " + s(d.c_out) + ", kernel " + s(d.kernel) +
                      ", stride " + s(d.stride) + ", pad " + s(d.pad) + ", groups " + s(d.groups));
  };
  for (i64 v : {d.n, d.h, d.w, d.c_in, d.c_out, d.kernel, d.stride, d.groups})
    if (v < 1) fail("every dimension >= 1");
  if (d.pad < 0) fail("pad >= 0");
  if (d.c_in % d.groups != 0 || d.c_out % d.groups != 0) fail("groups that divide both channel counts");
  constexpr i64 kMost = i64{1} << 40;
  const auto product_below = [](std::initializer_list<i64> factors) {
    i64 product = 1;
    for (i64 f : factors) {
      if (f >= kMost || product > (kMost - 1) / f) return false;
      product *= f;
    }
    return true;
  };
  const bool sane = product_below({d.n, d.h, d.w, d.c_in}) &&
                    product_below({d.kernel, d.kernel, d.c_in, d.c_out}) && d.pad < kMost && d.stride < kMost;
  if (!sane) fail("arrays of less than 2^40 elements");
  if (d.kernel > d.h + 2 * d.pad || d.kernel > d.w + 2 * d.pad)
    fail("a kernel no larger than the padded image");
  const Extent out = conv2d_out(d);
  if (!product_below({d.n, out.h, out.w, d.c_out})) fail("arrays of less than 2^40 elements");
}

void conv2d(Exec& exec, const Conv2dCallT<float>& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::conv2d(exec, call);
  const Conv2dKernel& row = select_conv2d(call.dims, exec.target());
  if (!note(exec, row.name, conv2d_cost(call.dims), call)) return;
  row.run(exec, call);
}

void conv2d(Exec& exec, const Conv2dCallT<double>& call) {
  if (!note(exec, "conv2d/reference/double", conv2d_cost(call.dims))) return;
  conv2d_ref(call);
}

void conv2d_grad(Exec& exec, const Conv2dGradCallT<float>& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::conv2d_grad(exec, call);
  const Conv2dGradKernel& row = select_conv2d_grad(call.dims, exec.target());
  if (!note(exec, row.name, grad_cost(call))) return;
  row.run(exec, call);
}

void conv2d_grad(Exec& exec, const Conv2dGradCallT<double>& call) {
  if (!note(exec, "conv2d_grad/reference/double", grad_cost(call))) return;
  conv2d_grad_ref(call);
}

i64 conv2d_packed_floats(const Conv2dDims& dims, Target target) {
  return conv2d_packed_floats(dims, tile_engine(target));
}

void conv2d_pack(const Conv2dDims& dims, Target target, WeightView w, float* packed) {
  std::vector<i64> offsets(size_t(dims.kernel * dims.kernel));
  conv2d_pack(dims, tile_engine(target), w, offsets.data(), packed);
}

}  // namespace offramp::kernels
