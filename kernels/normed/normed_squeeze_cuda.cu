// Device rows of squeeze-excite: a pass over the tensor and two products with what follows them fused.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/normed/normed.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// `in` itself, or its product with g.
template <class T>
struct FormedValues {
  using Column = NormedChannels;
  NormedT<T> in;
  const T* g;
  i64 channels;
  bool wide;

  struct Raw {
    Eight<T> x, g;
  };
  __device__ Column column(i64 c, int count) const { return channels_of(in, c, count); }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const i64 at = row * channels + c;
    Raw raw;
    raw.x = cuda::fetch(in.x + at, wide, count);
    if (g) raw.g = cuda::fetch(g + at, wide, count);
    return raw;
  }
  __device__ __forceinline__ Floats<kLanes> value(const Column& p, const Raw& raw) const {
    Floats<kLanes> v = formed(in, p, values(raw.x));
    if (g) {
      const Floats<kLanes> factor = values(raw.g);
#pragma unroll
      for (int i = 0; i < kLanes; ++i) v.v[i] *= factor.v[i];
    }
    return v;
  }
};

// raw = v + bias, value = hard_sigmoid(raw)
template <class T>
struct GateEpilogue {
  using State = Nothing;
  using Column = Floats<kLanes>;
  using Raw = Nothing;
  static constexpr int kFields = 0;
  T *raw, *value;
  const float* bias;
  i64 channels;
  bool wide;

  __device__ Column column(i64 c, int count) const { return load_some(bias + c, false, count); }
  __device__ Raw fetch(i64, i64, int) const { return {}; }
  __device__ void begin(State&, const Floats<kLanes>&) const {}
  __device__ __forceinline__ void apply(State&, const Column& b, const Raw&, i64 row, i64 c, int count,
                                        Floats<kLanes> v) const {
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] = to_float(T(v.v[i] + b.v[i]));
    store_some(raw + row * channels + c, v, wide, count);
    apply_act(Act::hard_sigmoid, v);
    store_some(value + row * channels + c, v, wide, count);
  }
  template <class Tile>
  __device__ void finish(State&, const Parts&, i64, i64) const {}
};

// y = v where `hidden` is positive, else 0
template <class T>
struct MaskEpilogue {
  using State = Nothing;
  using Column = Nothing;
  using Raw = Eight<T>;
  static constexpr int kFields = 0;
  T* y;
  const T* hidden;
  i64 channels;
  bool wide;

  __device__ Column column(i64, int) const { return {}; }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(hidden + row * channels + c, wide, count);
  }
  __device__ void begin(State&, const Floats<kLanes>&) const {}
  __device__ __forceinline__ void apply(State&, const Column&, const Raw& of_hidden, i64 row, i64 c,
                                        int count, Floats<kLanes> v) const {
    const Floats<kLanes> h = values(of_hidden);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) v.v[i] = h.v[i] > 0 ? v.v[i] : 0.0f;
    store_some(y + row * channels + c, v, wide, count);
  }
  template <class Tile>
  __device__ void finish(State&, const Parts&, i64, i64) const {}
};

// Behind the sum over a sample: the slope of the hard sigmoid.
template <class T>
struct ThroughGate {
  const T* raw;
  __device__ float operator()(i64 at, float sum) const {
    return sum * act_slope(Act::hard_sigmoid, to_float(raw[at]));
  }
};

template <class T>
void forward(Exec& exec, const NormedSqueezeCallT<T>& call) {
  constexpr const char* kRow = "normed_squeeze/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_squeeze_cost(d, call.reduced))) return;
  Gpu& gpu = *exec.gpu();
  const i64 n = d.rows / d.hw, c = d.c_in, r = call.reduced;
  fold_samples(gpu, kRow, FormedValues<T>{call.in, nullptr, c, wide_rows(call.in.x, c)}, n, d.hw, c,
               Times{1.0f / float(d.hw)}, call.mean);
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    product_by_rows<Math, true>(gpu, kRow, rows_side(static_cast<const T*>(call.mean), n, c, c),
                                rows_side(call.reduce, r, c, call.reduce_row),
                                store_epilogue<T>(call.hidden, r, r, call.reduce_bias, nullptr, Act::relu), n,
                                r, c);
    product_by_rows<Math, true>(gpu, kRow, rows_side(static_cast<const T*>(call.hidden), n, r, r),
                                rows_side(call.gate, c, r, call.gate_row),
                                GateEpilogue<T>{call.raw, call.value, call.gate_bias, c,
                                                wide_rows(call.raw, c) && wide_rows(call.value, c)},
                                n, c, r);
  });
}

template <class T>
void gradient(Exec& exec, const NormedSqueezeGradCallT<T>& call) {
  constexpr const char* kRow = "normed_squeeze_grad/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, d, normed_squeeze_grad_cost(d, call.reduced))) return;
  Gpu& gpu = *exec.gpu();
  const i64 n = d.rows / d.hw, c = d.c_in, r = call.reduced;
  fold_samples(gpu, kRow,
               FormedValues<T>{call.in, call.g, c, wide_rows(call.in.x, c) && wide_rows(call.g, c)}, n, d.hw,
               c, ThroughGate<T>{call.raw}, call.of_raw);
  with_math<T>(exec, [&](auto math) {
    using Math = decltype(math);
    product_by_rows<Math, false>(gpu, kRow, rows_side(static_cast<const T*>(call.of_raw), n, c, c),
                                 rows_side(call.gate, c, r, call.gate_row),
                                 MaskEpilogue<T>{call.of_hidden, call.hidden, r,
                                                 wide_rows(call.of_hidden, r) && wide_rows(call.hidden, r)},
                                 n, r, c);
    product_by_rows<Math, false>(gpu, kRow, rows_side(static_cast<const T*>(call.of_hidden), n, r, r),
                                 rows_side(call.reduce, r, c, call.reduce_row),
                                 store_epilogue<T>(call.of_mean, c, c, nullptr, nullptr, Act::none), n, c, r);
  });
}

}  // namespace

void normed_squeeze(Exec& exec, const NormedSqueezeCall& call) { forward(exec, call); }
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void normed_squeeze(Exec& exec, const NormedSqueezeCallT<Bf16>& call) { cuda::forward(exec, call); }
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCallT<Bf16>& call) { cuda::gradient(exec, call); }

}  // namespace offramp::kernels
