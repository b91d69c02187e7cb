// Device rows of squeeze-excite: a block takes a few samples through all of it, forward or backward, with
// what stands between in shared memory. The products are tiny and would be a launch each.
#include "kernels/cuda/row_pass.h"
#include "kernels/normed/normed.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace cuda {
namespace {

constexpr int kThreads = 256;
constexpr int padded(i64 count) { return int(ceil_div(count, kLanes) * kLanes); }

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

// out [kSamples][padded(c)] = sum over hw of the rows that `work` forms; parts: kThreads * kLanes floats. All
// threads call; `out` may be read after the next barrier.
template <int kSamples, class Work>
__device__ void sum_samples(const Work& work, i64 first, i64 samples, i64 hw, i64 c, float* out,
                            float* parts) {
  constexpr int kBatch = 4;
  const int t = int(threadIdx.x), groups = padded(c) / kLanes, items = kSamples * groups;
  // Several threads share the rows of eight channels where there are threads enough.
  const int lanes = items < kThreads ? kThreads / items : 1, lane = lanes > 1 ? t / items : 0;
  for (int item = lanes > 1 ? t % items : t; item < items && lane < lanes; item += kThreads) {
    const i64 sample = first + item / groups, channel = i64(item % groups) * kLanes;
    const int count = sample < samples ? lanes_in(channel, c) : 0;
    const typename Work::Column column = work.column(channel, count);
    Floats<kLanes> sum = zeros();
    for (i64 row = lane; row < hw; row += kBatch * lanes) {
      typename Work::Raw raw[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b)
        raw[b] = work.fetch(sample * hw + row + b * lanes, channel, row + b * lanes < hw ? count : 0);
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (row + b * lanes >= hw) break;
        const Floats<kLanes> v = work.value(column, raw[b]);
#pragma unroll
        for (int i = 0; i < kLanes; ++i) sum.v[i] += v.v[i];
      }
    }
    store<kLanes>((lanes > 1 ? parts + lane * items * kLanes : out) + item * kLanes, sum);
  }
  if (lanes == 1) return;
  __syncthreads();
  for (int i = t; i < items * kLanes; i += kThreads) {
    float sum = parts[i];
    for (int l = 1; l < lanes; ++l) sum += parts[l * items * kLanes + i];
    out[i] = sum;
  }
}

// A weight [rows][k] as a thread reads it: four neighbours at a time.
struct Rows {
  const float* w;
  i64 step;
  int rows, k;
  bool wide;
  __device__ __forceinline__ Floats<4> four(int row, int j) const {
    const float* const at = w + row * step + j;
    Floats<4> out = {};
    if (wide) {
      if (row < rows && j < k) out = load<4>(at);
      return out;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
      if (row < rows && j + i < k) out.v[i] = at[i];
    return out;
  }
};
Rows rows_of(const float* w, i64 step, i64 rows, i64 k) {
  return {w, step, int(rows), int(k),
          k % 4 == 0 && step % 4 == 0 && reinterpret_cast<uintptr_t>(w) % 16 == 0};
}

// emit(row, sample, sum over j of w[row][j] * x[sample][j]); x [kSamples][x_step], zeros behind k.
template <int kSamples, class Emit>
__device__ void multiply_rows(const Rows& w, const float* x, int x_step, Emit&& emit) {
  int lanes = 32;  // threads of a row
  while (lanes > 4 && lanes / 2 * 4 >= w.k) lanes /= 2;
  const int lane = int(threadIdx.x) % lanes, step = kThreads / lanes;
  for (int first = 0; first < w.rows; first += step) {
    const int row = first + int(threadIdx.x) / lanes;
    float sum[kSamples] = {};
#pragma unroll 4
    for (int j = 4 * lane; j < w.k; j += 4 * lanes) {
      const Floats<4> v = w.four(row, j);
#pragma unroll
      for (int s = 0; s < kSamples; ++s) {
        const Floats<4> of_x = load<4>(x + s * x_step + j);
#pragma unroll
        for (int i = 0; i < 4; ++i) sum[s] = fmaf(v.v[i], of_x.v[i], sum[s]);
      }
    }
#pragma unroll
    for (int s = 0; s < kSamples; ++s) {
      for (int bit = lanes / 2; bit > 0; bit /= 2) sum[s] += __shfl_xor_sync(kAllLanes, sum[s], bit);
      if (lane == 0 && row < w.rows) emit(row, s, sum[s]);
    }
  }
}

// emit(j, sample, sum over rows of w[row][j] * x[sample][row]); parts: 4 * kThreads * kSamples floats.
template <int kSamples, class Emit>
__device__ void multiply_columns(const Rows& w, const float* x, int x_step, float* parts, Emit&& emit) {
  const int t = int(threadIdx.x), quads = (w.k + 3) / 4;
  const int lanes = quads < kThreads ? kThreads / quads : 1;
  for (int base = 0; base < quads; base += kThreads) {
    const int mine = quads - base < kThreads ? quads - base : kThreads;
    const int quad = base + t % mine, lane = t / mine;
    float sum[kSamples][4] = {};
    if (lane < lanes) {
#pragma unroll 4
      for (int row = lane; row < w.rows; row += lanes) {
        const Floats<4> v = w.four(row, 4 * quad);
#pragma unroll
        for (int s = 0; s < kSamples; ++s) {
          const float of_x = x[s * x_step + row];
#pragma unroll
          for (int i = 0; i < 4; ++i) sum[s][i] = fmaf(v.v[i], of_x, sum[s][i]);
        }
      }
#pragma unroll
      for (int s = 0; s < kSamples; ++s)
#pragma unroll
        for (int i = 0; i < 4; ++i) parts[((lane * kSamples + s) * mine + t % mine) * 4 + i] = sum[s][i];
    }
    __syncthreads();
    for (int e = t; e < kSamples * mine * 4; e += kThreads) {
      float total = parts[e];
      for (int l = 1; l < lanes; ++l) total += parts[l * kSamples * mine * 4 + e];
      const int j = base * 4 + e % (mine * 4);
      if (j < w.k) emit(j, e / (mine * 4), total);
    }
    __syncthreads();
  }
}

// Shared memory: [kSamples][padded(c)] values, [kSamples][padded(reduced)] hidden ones, parts.
template <int kSamples>
i64 shared_bytes(i64 c, i64 reduced) {
  return 4 * (kSamples * (padded(c) + padded(reduced)) + 4 * kThreads * kSamples + kThreads * kLanes);
}

template <class T, int kSamples>
__global__ void __launch_bounds__(kThreads)
    squeeze(NormedSqueezeCallT<T> call, FormedValues<T> values, Rows reduce, Rows gate) {
  const int c = int(call.dims.c_in), r = int(call.reduced), c_step = padded(c), r_step = padded(r);
  const i64 hw = call.dims.hw, samples = call.dims.rows / hw, first = i64(blockIdx.x) * kSamples;
  float* const mean = dynamic_shared<float>();
  float *const hidden = mean + kSamples * c_step, *const parts = hidden + kSamples * r_step;
  sum_samples<kSamples>(values, first, samples, hw, c, mean, parts);
  for (int i = int(threadIdx.x); i < kSamples * r_step; i += kThreads) hidden[i] = 0;
  __syncthreads();
  const float factor = 1.0f / float(hw);
  for (int i = int(threadIdx.x); i < kSamples * c_step; i += kThreads) {
    const int s = i / c_step, channel = i % c_step;
    const T v = T(factor * mean[i]);
    mean[i] = to_float(v);  // as the gradient will read it
    if (channel < c && first + s < samples) call.mean[(first + s) * c + channel] = v;
  }
  __syncthreads();
  multiply_rows<kSamples>(reduce, mean, c_step, [&](int j, int s, float sum) {
    const T v = T(fmaxf(sum + call.reduce_bias[j], 0.0f));
    hidden[s * r_step + j] = to_float(v);
    if (first + s < samples) call.hidden[(first + s) * r + j] = v;
  });
  __syncthreads();
  multiply_rows<kSamples>(gate, hidden, r_step, [&](int j, int s, float sum) {
    if (first + s >= samples) return;
    const T raw = T(sum + call.gate_bias[j]);
    call.raw[(first + s) * c + j] = raw;
    call.value[(first + s) * c + j] = T(apply_act(Act::hard_sigmoid, to_float(raw)));
  });
}

template <class T, int kSamples>
__global__ void __launch_bounds__(kThreads)
    squeeze_grad(NormedSqueezeGradCallT<T> call, FormedValues<T> values, Rows reduce, Rows gate) {
  const int c = int(call.dims.c_in), r = int(call.reduced), c_step = padded(c), r_step = padded(r);
  const i64 hw = call.dims.hw, samples = call.dims.rows / hw, first = i64(blockIdx.x) * kSamples;
  float* const value = dynamic_shared<float>();
  float *const hidden = value + kSamples * c_step, *const parts = hidden + kSamples * r_step;
  sum_samples<kSamples>(values, first, samples, hw, c, value, parts);
  __syncthreads();
  for (int i = int(threadIdx.x); i < kSamples * c_step; i += kThreads) {
    const int s = i / c_step, channel = i % c_step;
    const bool there = channel < c && first + s < samples;
    const i64 at = (first + s) * c + channel;
    const T v = T(there ? value[i] * act_slope(Act::hard_sigmoid, to_float(call.raw[at])) : 0.0f);
    value[i] = to_float(v);
    if (there) call.of_raw[at] = v;
  }
  __syncthreads();
  multiply_columns<kSamples>(gate, value, c_step, parts, [&](int j, int s, float sum) {
    const bool there = first + s < samples;
    const i64 at = (first + s) * r + j;
    const T v = T(there && to_float(call.hidden[at]) > 0 ? sum : 0.0f);
    hidden[s * r_step + j] = to_float(v);
    if (there) call.of_hidden[at] = v;
  });
  multiply_columns<kSamples>(reduce, hidden, r_step, parts, [&](int j, int s, float sum) {
    if (first + s < samples) call.of_mean[(first + s) * c + j] = T(sum);
  });
}

// Calls f(constant): samples of a block, so that the multiprocessors are busy and weights are not read by too
// many blocks.
template <class F>
void with_samples(const Gpu& gpu, i64 samples, F&& f) {
  if (samples >= 3 * i64(gpu.properties().multiprocessors))
    f(std::integral_constant<int, 4>{});
  else
    f(std::integral_constant<int, 1>{});
}

template <class T>
void forward(Exec& exec, const NormedSqueezeCallT<T>& call) {
  constexpr const char* kRow = "normed_squeeze/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, normed_squeeze_cost(d, call.reduced))) return;
  Gpu& gpu = *exec.gpu();
  with_samples(gpu, d.rows / d.hw, [&](auto samples) {
    launch(gpu,
           {.op = kRow,
            .grid = ceil_div(d.rows / d.hw, samples()),
            .block = kThreads,
            .shared = shared_bytes<samples()>(d.c_in, call.reduced)},
           squeeze<T, samples()>, call,
           FormedValues<T>{call.in, nullptr, d.c_in, wide_rows(call.in.x, d.c_in)},
           rows_of(call.reduce, call.reduce_row, call.reduced, d.c_in),
           rows_of(call.gate, call.gate_row, d.c_in, call.reduced));
  });
}

template <class T>
void gradient(Exec& exec, const NormedSqueezeGradCallT<T>& call) {
  constexpr const char* kRow = "normed_squeeze_grad/any/cuda";
  const NormedDims& d = call.dims;
  if (!note(exec, kRow, normed_squeeze_grad_cost(d, call.reduced))) return;
  Gpu& gpu = *exec.gpu();
  with_samples(gpu, d.rows / d.hw, [&](auto samples) {
    launch(
        gpu,
        {.op = kRow,
         .grid = ceil_div(d.rows / d.hw, samples()),
         .block = kThreads,
         .shared = shared_bytes<samples()>(d.c_in, call.reduced)},
        squeeze_grad<T, samples()>, call,
        FormedValues<T>{call.in, call.g, d.c_in, wide_rows(call.in.x, d.c_in) && wide_rows(call.g, d.c_in)},
        rows_of(call.reduce, call.reduce_row, call.reduced, d.c_in),
        rows_of(call.gate, call.gate_row, d.c_in, call.reduced));
  });
}

}  // namespace

void normed_squeeze(Exec& exec, const NormedSqueezeCall& call) { forward(exec, call); }
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void normed_squeeze(Exec& exec, const NormedSqueezeCallT<Bf16>& call) { cuda::forward(exec, call); }
void normed_squeeze_grad(Exec& exec, const NormedSqueezeGradCallT<Bf16>& call) { cuda::gradient(exec, call); }

}  // namespace offramp::kernels
