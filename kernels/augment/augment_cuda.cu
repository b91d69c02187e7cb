// A block for each image.
#include "kernels/augment/augment.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/warp.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr int kBlock = 128;

__device__ __forceinline__ float unit(float v) { return fminf(fmaxf(v, 0.0f), 1.0f); }
__device__ __forceinline__ float grey(const float* p, int channels) {
  return channels == 3 ? 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2] : p[0];
}

template <class T>
__global__ void __launch_bounds__(kBlock) augment_images(AugmentCallT<T> call) {
  __shared__ AugmentDraws shared_draws;
  const i64 sample = blockIdx.x, pixels = call.h * call.w, index = call.indices[sample];
  const int channels = call.channels;
  const u8* const image = call.images + index * pixels * channels;
  T* const out = call.out + sample * pixels * channels;
  const AugmentOptions& a = call.options;
  if (threadIdx.x == 0) {
    call.labels_out[sample] = call.labels[index];
    if (call.augment)
      shared_draws =
          draw_augmentation(a, call.h, call.w, augmentation_rng(call.seed, call.epoch, u64(index)));
  }
  __syncthreads();
  AugmentDraws d{};
  if (call.augment) d = shared_draws;
  const bool jittered = call.augment && (a.brightness != 0 || a.contrast != 0 || a.saturation != 0);
  // The byte that comes to stand at a pixel; black from outside.
  const auto source = [&](i64 i) -> const u8* {
    const i64 y = i / call.w + d.dy, x0 = i % call.w, x = (d.flip ? call.w - 1 - x0 : x0) + d.dx;
    return y < 0 || y >= call.h || x < 0 || x >= call.w ? nullptr : image + (y * call.w + x) * channels;
  };
  const auto cut = [&](i64 i) {
    if (!call.augment || a.cutout <= 0) return false;
    const i64 y = i / call.w, x = i % call.w, top = d.cut_y - a.cutout / 2, left = d.cut_x - a.cutout / 2;
    return y >= top && y < top + a.cutout && x >= left && x < left + a.cutout;
  };
  if (!jittered) {
    for (i64 i = threadIdx.x; i < pixels; i += kBlock) {
      const u8* const p = source(i);
      const bool blank = cut(i);
      for (int c = 0; c < channels; ++c)
        out[i * channels + c] = T(blank ? 0.0f : call.table[c * 256 + (p ? p[c] : 0)]);
    }
    return;
  }
  const auto bright = [&](i64 i, float* v) {
    const u8* const p = source(i);
    for (int c = 0; c < channels; ++c) v[c] = unit(float(p ? p[c] : 0) / 255.0f * d.brightness);
  };
  float sum = 0;
  for (i64 i = threadIdx.x; i < pixels; i += kBlock) {
    float v[3];
    bright(i, v);
    sum += grey(v, channels);
  }
  const float middle = block_sum(sum) / float(pixels);
  for (i64 i = threadIdx.x; i < pixels; i += kBlock) {
    float v[3];
    bright(i, v);
    for (int c = 0; c < channels; ++c) v[c] = unit((v[c] - middle) * d.contrast + middle);
    if (channels == 3) {
      const float g = grey(v, channels);
      for (int c = 0; c < channels; ++c) v[c] = unit((v[c] - g) * d.saturation + g);
    }
    const bool blank = cut(i);
    for (int c = 0; c < channels; ++c)
      out[i * channels + c] = T(blank ? 0.0f : v[c] * call.scale[c] + call.scale[channels + c]);
  }
}

template <class T>
void run(Exec& exec, const AugmentCallT<T>& call) {
  constexpr const char* kRow = "augment/any/cuda";
  const i64 values = call.n * call.h * call.w * call.channels;
  if (note(exec, kRow, {{"n", call.n}, {"h", call.h}, {"w", call.w}, {"channels", call.channels}},
           Cost{.other_ops = values, .bytes_read = values, .bytes_written = values * i64(sizeof(T))}))
    launch(*exec.gpu(), {.op = kRow, .grid = call.n, .block = kBlock}, augment_images<T>, call);
}

}  // namespace

void augment(Exec& exec, const AugmentCallT<float>& call) { run(exec, call); }
void augment(Exec& exec, const AugmentCallT<Bf16>& call) { run(exec, call); }

}  // namespace offramp::kernels::cuda
