// Device rows of batch normalisation.
#include "kernels/cuda/problem.h"
#include "kernels/cuda/row_pass.h"
#include "kernels/norm/norm.h"

namespace offramp::kernels {
namespace cuda {
namespace {

// y = act((x - mean) * gamma / sqrt(var + eps) + beta)
template <class T>
struct ApplyPass : NoSums {
  using Column = NormedChannels;
  NormCallT<T> call;
  bool wide;

  __device__ Column column(i64 c, int count) const {
    Column p;
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      if (i < count) {
        p.mean.v[i] = call.mean[c + i];
        p.scale.v[i] = call.gamma[c + i] / sqrtf(call.var[c + i] + call.eps);
        p.beta.v[i] = call.beta[c + i];
      }
    return p;
  }
  using Raw = Eight<T>;
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(call.x + row * call.dims.c + c, wide, count);
  }
  __device__ __forceinline__ void apply(State&, const Column& p, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    Floats<kLanes> x = values(raw);
    normalise(p, x);
    apply_act(call.act, x);
    store_some(call.y + row * call.dims.c + c, x, wide, count);
  }
};

template <class T>
void apply(Exec& exec, const char* row, const NormCallT<T>& call) {
  const NormDims& d = call.dims;
  pass_over_rows(*exec.gpu(), row, ApplyPass<T>{{}, call, wide_rows(call.x, d.c) && wide_rows(call.y, d.c)},
                 d.rows, d.c);
}

template <class T>
void run(Exec& exec, const NormCallT<T>& call) {
  constexpr const char* kRow = "norm/any/cuda";
  if (note(exec, kRow, call.dims, norm_cost(call.dims, call.act))) apply(exec, kRow, call);
}

// Statistics of x, by the epilogue that products have too.
template <class T>
struct StatisticsPass {
  using State = Moments;
  using Column = Nothing;
  const T* x;
  i64 channels;
  MomentsEpilogue<T> moments;
  bool wide;
  static constexpr int kFields = MomentsEpilogue<T>::kFields;

  using Raw = Eight<T>;
  __device__ Column column(i64, int) const { return {}; }
  __device__ void begin(State& state, i64 row, i64 c, int count) const {
    state.begin(values(fetch(row, c, count)));
  }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    return cuda::fetch(x + row * channels + c, wide, count);
  }
  __device__ __forceinline__ void apply(State& state, const Column&, const Raw& raw, i64, i64, int) const {
    state.add(values(raw));
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 c0, i64 n) const {
    moments.template finish<Tile>(state, parts, c0, n);
  }
};

template <class T>
void train(Exec& exec, const NormTrainCallT<T>& call) {
  constexpr const char* kRow = "norm_train/any/cuda";
  const NormDims& d = call.dims;
  if (!note(exec, kRow, d, norm_train_cost(d, call.act))) return;
  const NormOut out{call.gamma, call.eps, call.mean, call.var, nullptr, call.running};
  pass_over_rows(*exec.gpu(), kRow,
                 StatisticsPass<T>{call.x, d.c, {nullptr, 0, out, false}, wide_rows(call.x, d.c)}, d.rows,
                 d.c);
  apply<T>(exec, kRow,
           {.dims = d,
            .x = call.x,
            .mean = call.mean,
            .var = call.var,
            .gamma = call.gamma,
            .beta = call.beta,
            .eps = call.eps,
            .act = call.act,
            .y = call.y});
}

// The slope behind the activation of a normalised x, as SlopeEpilogue has it, from gamma and var.
template <class T>
struct GradPass {
  struct Raw {
    Eight<T> x, gy;
  };
  NormGradCallT<T> call;
  const float *of_mean, *of_var;  // [c], null: constants
  bool wide;

  __device__ __forceinline__ NormedChannels channels(i64 c, int count) const {
    NormedChannels p;
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      if (i < count) {
        p.mean.v[i] = call.mean[c + i];
        p.scale.v[i] = call.gamma[c + i] / sqrtf(call.var[c + i] + call.eps);
        p.beta.v[i] = call.beta[c + i];
      }
    return p;
  }
  __device__ __forceinline__ Raw fetch(i64 row, i64 c, int count) const {
    const i64 at = row * call.dims.c + c;
    return {cuda::fetch(call.x + at, wide, count), cuda::fetch(call.gy + at, wide, count)};
  }
  // d = x - mean, dz = gy * slope
  __device__ __forceinline__ void slope(const NormedChannels& p, const Raw& raw, Floats<kLanes>& d,
                                        Floats<kLanes>& dz) const {
    d = values(raw.x), dz = values(raw.gy);
    Floats<kLanes> z;
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      d.v[i] -= p.mean.v[i];
      z.v[i] = d.v[i] * p.scale.v[i] + p.beta.v[i];
    }
    times_slope(call.act, z, dz);
  }
};

template <class T>
struct GradSums : GradPass<T> {
  using State = SlopeSums;
  using Column = NormedChannels;
  using Raw = typename GradPass<T>::Raw;
  NormGradOut out;
  float* scale;
  static constexpr int kFields = 2;

  __device__ Column column(i64 c, int count) const { return this->channels(c, count); }
  __device__ void begin(State&, i64, i64, int) const {}
  __device__ __forceinline__ void apply(State& state, const Column& p, const Raw& raw, i64, i64, int) const {
    Floats<kLanes> d, dz;
    this->slope(p, raw, d, dz);
#pragma unroll
    for (int i = 0; i < kLanes; ++i) {
      state.sum.v[i] += dz.v[i];
      state.with_d.v[i] = fmaf(dz.v[i], d.v[i], state.with_d.v[i]);
    }
  }
  template <class Tile>
  __device__ void finish(State& state, const Parts& parts, i64 c0, i64 n) const {
    fold_sums<Tile>(state, parts, [&](const float* total) {
      const i64 count = n - c0 < Tile::kColumns ? n - c0 : i64(Tile::kColumns);
      for (i64 i = threadIdx.x; i < count; i += blockDim.x)
        scale[c0 + i] = this->call.gamma[c0 + i] / sqrtf(this->call.var[c0 + i] + this->call.eps);
      __syncthreads();
      finish_sums(out, scale, total, Tile::kColumns, c0, count, this->call.dims.rows);
    });
  }
};

template <class T>
struct GradApply : GradPass<T>, NoSums {
  using Raw = typename GradPass<T>::Raw;
  struct Column {
    NormedChannels p;
    Floats<kLanes> of_mean, of_var;
  };
  __device__ Column column(i64 c, int count) const {
    Column out{this->channels(c, count), zeros(), zeros()};
    if (this->of_mean) {
      out.of_mean = load_some(this->of_mean + c, false, count);
      out.of_var = load_some(this->of_var + c, false, count);
    }
    return out;
  }
  __device__ __forceinline__ void apply(State&, const Column& q, const Raw& raw, i64 row, i64 c,
                                        int count) const {
    Floats<kLanes> d, g;
    this->slope(q.p, raw, d, g);
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      g.v[i] = q.p.scale.v[i] * g.v[i] - q.of_mean.v[i] - d.v[i] * q.of_var.v[i];
    store_some(this->call.gx + row * this->call.dims.c + c, g, this->wide, count);
  }
};

// Vectors that nobody asked for: five of c floats each, taken for the time of the two launches.
class Vectors {
 public:
  Vectors(Gpu& gpu, i64 c) : pool_(gpu.pool()), step_((c + 3) / 4 * 4), data_(pool_->take(5 * step_ * 4)) {}
  ~Vectors() { pool_->give(data_, 5 * step_ * 4); }
  float* operator[](i64 i) const { return reinterpret_cast<float*>(data_) + i * step_; }

 private:
  std::shared_ptr<MemoryPool> pool_;
  i64 step_;
  std::byte* data_;
};

template <class T>
void gradient(Exec& exec, const NormGradCallT<T>& call) {
  constexpr const char* kRow = "norm_grad/any/cuda";
  const NormDims& d = call.dims;
  if (!note(exec, kRow, d, norm_grad_cost(d, call.act))) return;
  Gpu& gpu = *exec.gpu();
  const Vectors spare(gpu, d.c);
  const bool wide =
      wide_rows(call.x, d.c) && wide_rows(call.gy, d.c) && (!call.gx || wide_rows(call.gx, d.c));
  const NormGradOut out{
      call.var, call.eps, call.ggamma ? call.ggamma : spare[0], call.gbeta ? call.gbeta : spare[1],
      spare[2], spare[3]};
  const bool sums = call.batch_statistics || call.ggamma || call.gbeta;
  if (sums)
    pass_over_rows(gpu, kRow, GradSums<T>{{call, nullptr, nullptr, wide}, out, spare[4]}, d.rows, d.c);
  if (call.gx)
    pass_over_rows(gpu, kRow,
                   GradApply<T>{{call, call.batch_statistics ? spare[2] : nullptr, spare[3], wide}, {}},
                   d.rows, d.c);
}

}  // namespace

void norm(Exec& exec, const NormCall& call) { run(exec, call); }
void norm_train(Exec& exec, const NormTrainCall& call) { train(exec, call); }
void norm_grad(Exec& exec, const NormGradCall& call) { gradient(exec, call); }

}  // namespace cuda

void norm(Exec& exec, const NormCallT<Bf16>& call) { cuda::run(exec, call); }
void norm_train(Exec& exec, const NormTrainCallT<Bf16>& call) { cuda::train(exec, call); }
void norm_grad(Exec& exec, const NormGradCallT<Bf16>& call) { cuda::gradient(exec, call); }

}  // namespace offramp::kernels
