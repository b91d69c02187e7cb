#include "kernels/conv2d/conv2d_rows.h"

#include <algorithm>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/window.h"
#include "kernels/gemm/gemm_rows.h"
#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

// Floats of scratch that hold `count` offsets.
constexpr i64 offset_floats(i64 count) { return count * i64(sizeof(i64) / sizeof(float)); }

}  // namespace

void conv2d_pack(const Conv2dDims& d, const TileEngine& engine, WeightView w, i64* offsets, float* packed) {
  const i64 group_out = d.c_out / d.groups, group_in = d.c_in / d.groups, taps = d.kernel * d.kernel;
  for (i64 t = 0; t < taps; ++t) offsets[t] = t / d.kernel * w.to_next_row + t % d.kernel * w.to_next_tap;
  for (i64 g = 0; g < d.groups; ++g)
    engine.pack({.n = group_out,
                 .b_col = w.to_next_out,
                 .b_k = 1,
                 .b_seg = offsets,
                 .segs = taps,
                 .seg_k = group_in,
                 .b = w.data + g * group_out * w.to_next_out,
                 .packed = packed + g * packed_floats(engine, group_out, taps * group_in),
                 .pairs = is_pointwise(d)});
}

i64 conv2d_packed_floats(const Conv2dDims& d, const TileEngine& engine) {
  return d.groups * packed_floats(engine, d.c_out / d.groups, d.kernel * d.kernel * (d.c_in / d.groups));
}

void conv2d_pointwise(Exec& exec, const Conv2dCall& call, const TileEngine& engine) {
  const Conv2dDims& d = call.dims;
  gemm_tiles(exec,
             {.dims = {.m = d.n * d.h * d.w, .n = d.c_out, .k = d.c_in},
              .a = call.x,
              .a_row = d.c_in,
              .a_k = 1,
              .b = call.w.data,
              .b_col = call.w.to_next_out,
              .b_k = 1,
              .packed = call.packed,
              .bias = call.bias,
              .residual = call.residual,
              .act = call.act,
              .c = call.y,
              .c_row = d.c_out},
             engine);
}

void conv2d_stem(Exec& exec, const Conv2dCall& call, const TileEngine& engine, StemRun& run) {
  const Conv2dDims& d = call.dims;
  const float* packed = call.packed;
  if (!packed) {
    const i64 floats = round_up(conv2d_packed_floats(d, engine), 16);
    float* const scratch = exec.shared_scratch(floats + offset_floats(d.kernel * d.kernel));
    conv2d_pack(d, engine, call.w, reinterpret_cast<i64*>(scratch + floats), scratch);
    packed = scratch;
  }
  constexpr i64 kThreadMacs = i64{1} << 20;  // worth a visit to another thread
  const i64 grain = std::max<i64>(1, kThreadMacs / (call.out_w * d.c_out * 27));
  parallel_for(exec, d.n * call.out_h, grain, [&](i64 begin, i64 end, int worker) {
    run(call, packed, exec.worker_scratch(worker, 3 * (d.w + 2 * d.pad) * 3), begin, end);
  });
}

void conv2d_indirect(Exec& exec, const Conv2dCall& call, const TileEngine& engine) {
  const Conv2dDims& d = call.dims;
  const i64 packed_floats = call.packed ? 0 : round_up(conv2d_packed_floats(d, engine), 16);
  float* const scratch = exec.shared_scratch(packed_floats + offset_floats(d.kernel * d.kernel));
  i64* const offsets = reinterpret_cast<i64*>(scratch + packed_floats);
  if (!call.packed) conv2d_pack(d, engine, call.w, offsets, scratch);
  run_window_product(exec, engine,
                     {.dims = {.images = d.n,
                               .h = d.h,
                               .w = d.w,
                               .c = d.c_in,
                               .taps_h = d.kernel,
                               .taps_w = d.kernel,
                               .step = d.stride,
                               .origin_h = -d.pad,
                               .origin_w = -d.pad,
                               .out_h = call.out_h,
                               .out_w = call.out_w},
                      .source = call.x,
                      .groups = d.groups,
                      .n = d.c_out / d.groups,
                      .packed = call.packed ? call.packed : scratch,
                      .pairs = is_pointwise(d),
                      .dst = call.y,
                      .to_next_image = call.out_h * call.out_w * d.c_out,
                      .to_next_row = call.out_w * d.c_out,
                      .to_next_pixel = d.c_out,
                      .bias = call.bias,
                      .residual = call.residual,
                      .act = call.act},
                     offsets);
}

}  // namespace offramp::kernels
