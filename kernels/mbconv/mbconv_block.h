// What one block of threads does of an inverted-residual block: a slice of kSlice hidden channels, on a strip
// of rows of one sample. Everything it needs is asked for at the beginning and lies in shared memory from
// then on; blocks meet where a sum runs over all hidden channels. Those sums are taken slice by slice, and a
// slice is a chunk of fragments.h: the bits are those of the calls one by one.
#pragma once
#include "kernels/depthwise/depthwise_tile.h"
#include "kernels/mbconv/mbconv_task.h"

namespace offramp::kernels::cuda {

template <class Math, int kKernel, int kStride>
class MBConvBlock {
 public:
  using T = typename Math::Stored;
  static constexpr int kOutRow = kSlice + kBankPad<T>;
  static constexpr int kAhead = 16;  // slices whose parts are asked for at once; zeros behind the last

  __device__ __forceinline__ explicit MBConvBlock(const MBConvTask<T>& task)
      : task_(task),
        d_(task.call.dims),
        t_(int(threadIdx.x)),
        sample_(blockIdx.z),
        c0_(int(blockIdx.x) * kSlice) {
    channels_ = d_.mid - c0_ < kSlice ? int(d_.mid - c0_) : kSlice;
    row0_ = int(blockIdx.y) * task.strip_rows;
    rows_ = int(task.call.out_h) - row0_ < task.strip_rows ? int(task.call.out_h) - row0_ : task.strip_rows;
    outs_ = rows_ * int(task.call.out_w);
    top_ = row0_ * kStride - int(d_.pad);
    in0_ = top_ > 0 ? top_ : 0;
    const int end = top_ + (rows_ - 1) * kStride + kKernel;
    pixels_ = ((end < int(d_.h) ? end : int(d_.h)) - in0_) * int(d_.w);
    std::byte* const shared = dynamic_shared<std::byte>();
    x_ = reinterpret_cast<T*>(shared + task.rooms.x);
    hidden_ = reinterpret_cast<T*>(shared + task.rooms.hidden);
    out_ = reinterpret_cast<T*>(shared + task.rooms.out);
    taps_ = reinterpret_cast<float*>(shared + task.rooms.taps);
    small_ = reinterpret_cast<float*>(shared + task.rooms.small);
  }

  __device__ void load() const {
    if (d_.expands) ask_for_pixels();
    load_weights();
    load_small();
    for (int i = t_ * kLanes; i < task_.tile_h * task_.tile_w.value() * kSlice; i += kBlockThreads * kLanes)
      store<kLanes>(hidden_ + i, zeros());
    if (d_.expands) finish_pixels();
    __syncthreads();
    if (!d_.expands) load_hidden();
  }

  // hidden = act(x w + bias), zeros around the image.
  __device__ void expand() const {
    using Warp = Fragments<Math, 1, 2>;
    const WeightPiece& p = task_.pieces[kOfExpand];
    for (int tile = t_ / 32; tile < (pixels_ + 15) / 16 * 2; tile += kBlockWarps) {
      const int p0 = tile / 2 * 16, n0 = tile % 2 * 16;
      typename Warp::Sums sums;
      Warp::clear(sums);
      for (int k = 0; k < int(d_.c_in); k += kChunk)
        Warp::add_chunk(x_ + p0 * task_.x_row + k, task_.x_row, piece(p) + n0 * p.to_row + k, p.to_row,
                        int(d_.c_in) - k, sums);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        int y = p0 + Warp::row(e);
        if (y >= pixels_) continue;
        const int x = task_.w.split(y) + int(d_.pad);
        if (x >= task_.tile_w.value()) continue;
        T* const to = hidden_ + ((y + in0_ - top_) * task_.tile_w.value() + x) * kSlice;
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const int c = n0 + j * 8 + Warp::column(e);
          to[c] = T(c < channels_ ? finished(sums.v[0][j][e], small_[SmallRooms::kExpandBias + c],
                                             task_.call.expand.act)
                                  : 0.0f);
        }
      }
    }
    __syncthreads();
  }

  // out = act(depthwise(hidden) + bias), as an operand unless squeeze-excite is still to come.
  __device__ void depthwise() const {
    constexpr int kPairs = kSlice / 2;
    const int pair = t_ % kPairs, line = task_.tile_w.value() * kSlice, out_w = int(task_.call.out_w);
    for (int i = t_ / kPairs; i < rows_ * task_.out_strips.value(); i += kBlockThreads / kPairs) {
      int y = i;
      const int x0 = task_.out_strips.split(y) * kStripOuts;
      float2 sum[kStripOuts];
#pragma unroll
      for (int p = 0; p < kStripOuts; ++p) sum[p] = make_float2(0, 0);
      const T* const corner = hidden_ + y * kStride * line + x0 * kStride * kSlice + 2 * pair;
#pragma unroll 1
      for (int k = 0; k < kKernel; ++k)
        add_row<T, kKernel, kStride, false, false, kStripOuts, kSlice>(
            corner + k * line, taps_ + k * kKernel * kSlice + 2 * pair, sum);
      const float* const bias = small_ + SmallRooms::kDepthwiseBias + 2 * pair;
#pragma unroll
      for (int p = 0; p < kStripOuts; ++p)
        if (x0 + p < out_w) {
          T* const to = out_ + (y * out_w + x0 + p) * kOutRow + 2 * pair;
          const Act act = task_.call.depthwise.act;
          // Rounded once more, as by depthwise_rows, whose sums pass through shared memory.
          put(to, 2 * pair, finished(to_float(T(sum[p].x)), bias[0], act));
          put(to + 1, 2 * pair + 1, finished(to_float(T(sum[p].y)), bias[1], act));
        }
    }
    __syncthreads();
  }

  // This slice's part of the reduced values: mean over the pixels, in the order of sample_fold
  // (kernels/cuda/row_pass.h), times its columns of weights.
  __device__ void squeeze() const {
    using Warp = Fragments<Math, 1, 1>;
    float* const fold = small_ + SmallRooms::kFold;
    T* const mean = reinterpret_cast<T*>(small_ + SmallRooms::kMean);
    const int c = t_ % kSlice;
    for (int j = t_ / kSlice; j < 16; j += kBlockWarps) {
      float sum = 0;
      for (int p = j; p < outs_; p += 16) sum += to_float(out_[p * kOutRow + c]);
      fold[j * kSlice + c] = sum;
    }
    __syncthreads();
    if (t_ < kSlice) {
      const auto at = [&](int j) { return fold[j * kSlice + t_]; };
      const auto four = [&](int j) { return (at(j) + at(j + 2)) + (at(j + 1) + at(j + 3)); };
      const float sum = ((four(0) + four(4)) + four(8)) + four(12);
      mean[t_] = operand(T(sum * (1.0f / float(outs_))));
    }
    __syncthreads();
    const WeightPiece& p = task_.pieces[kOfReduce];
    float* const to = task_.squeezed + (sample_ * task_.slices + blockIdx.x) * d_.reduced;
    for (int n0 = t_ / 32 * 8; n0 < int(d_.reduced); n0 += kBlockWarps * 8) {
      typename Warp::Sums sums;
      // One row is enough: all of the fragment read the same.
      Warp::set_chunk(mean, 0, piece(p) + n0 * p.to_row, p.to_row, channels_, sums);
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if (const int n = n0 + Warp::column(e); Warp::row(e) == 0 && n < int(d_.reduced))
          to[n] = sums.v[0][0][e];
    }
  }

  // out := out * gate(act(the sum of all slices' parts)), as an operand.
  __device__ void excite() const {
    using Warp = Fragments<Math, 1, 1>;
    const WeightPiece& p = task_.pieces[kOfGate];
    const int reduced = int(d_.reduced), columns = (reduced + kChunk - 1) / kChunk * kChunk;
    // Behind the biases: the reduced values as a row of operands, then the parts of their chunks.
    const float* const bias = small_ + SmallRooms::kReduceBias;
    T* const row = reinterpret_cast<T*>(small_ + SmallRooms::kReduceBias + columns);
    float* const chunk_parts = small_ + SmallRooms::kReduceBias + 2 * columns;
    const float* const from = task_.squeezed + sample_ * task_.slices * reduced;
    for (int i = t_; i < columns; i += kBlockThreads) {
      float sum = 0;
      if (i < reduced) {
        for (int first = 0; first < int(task_.slices); first += kAhead) {
          float part[kAhead];
#pragma unroll
          for (int s = 0; s < kAhead; ++s)
            part[s] = first + s < int(task_.slices) ? from[(first + s) * reduced + i] : 0.0f;
#pragma unroll
          for (int s = 0; s < kAhead; ++s) sum += part[s];
        }
        sum = finished(sum, bias[i], task_.call.reduce.act);
      }
      row[i] = operand(T(sum));
    }
    __syncthreads();
    for (int i = t_ / 32; i < columns / kChunk * (kSlice / 8); i += kBlockWarps) {
      const int k = i / (kSlice / 8) * kChunk, n0 = i % (kSlice / 8) * 8;
      typename Warp::Sums sums;
      Warp::set_chunk(row + k, 0, piece(p) + n0 * p.to_row + k, p.to_row, reduced - k, sums);
#pragma unroll
      for (int e = 0; e < 2; ++e)
        if (Warp::row(e) == 0) chunk_parts[k + n0 + Warp::column(e)] = sums.v[0][0][e];
    }
    __syncthreads();
    float* const gate = small_ + SmallRooms::kGate;
    if (t_ < kSlice) {
      float sum = 0;
      for (int k = 0; k < columns; k += kChunk) sum += chunk_parts[k + t_];
      gate[t_] = to_float(T(finished(sum, small_[SmallRooms::kGateBias + t_], task_.call.gate.act)));
    }
    __syncthreads();
    for (int i = t_; i < outs_ * kSlice; i += kBlockThreads) {
      T& value = out_[i / kSlice * kOutRow + i % kSlice];
      value = i % kSlice < channels_ ? operand(T(to_float(value) * gate[i % kSlice])) : T(0.0f);
    }
    __syncthreads();
  }

  // This slice's part of the results.
  __device__ void project() const {
    using Warp = Fragments<Math, 1, 1>;
    const WeightPiece& p = task_.pieces[kOfProject];
    const int columns = p.rooms / 8;
    float* const to = parts_of_slice(blockIdx.x);
    for (int i = t_ / 32; i < (outs_ + 15) / 16 * columns; i += kBlockWarps) {
      const int m0 = i / columns * 16, n0 = i % columns * 8;
      typename Warp::Sums sums;
      Warp::set_chunk(out_ + m0 * kOutRow, kOutRow, piece(p) + n0 * p.to_row, p.to_row, channels_, sums);
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = m0 + Warp::row(e), n = n0 + Warp::column(e);
        if (row < outs_ && n < int(d_.c_out)) to[i64(row) * d_.c_out + n] = sums.v[0][0][e];
      }
    }
  }

  // Results of the strip: the blocks of its slices share them.
  template <class Epilogue>
  __device__ void finish(const Epilogue& epilogue) const {
    const int groups = (int(d_.c_out) + kLanes - 1) / kLanes;
    const i64 first = sample_ * task_.call.out_h * task_.call.out_w + i64(row0_) * task_.call.out_w;
    const bool wide = d_.c_out % kLanes == 0;
    for (int i = int(blockIdx.x) * kBlockThreads + t_; i < outs_ * groups;
         i += int(task_.slices) * kBlockThreads) {
      const int row = i / groups, c = i % groups * kLanes, count = lanes_in(c, d_.c_out);
      const auto beside = epilogue.fetch(first + row, c, count);
      Floats<kLanes> sum = zeros();
      for (int before = 0; before < int(task_.slices); before += kAhead) {
        Eight<float> part[kAhead];
#pragma unroll
        for (int s = 0; s < kAhead; ++s)
          part[s] = cuda::fetch(parts_of_slice(before + s) + i64(row) * d_.c_out + c, wide,
                                before + s < int(task_.slices) ? count : 0);
#pragma unroll
        for (int s = 0; s < kAhead; ++s) {
          const Floats<kLanes> v = values(part[s]);
#pragma unroll
          for (int l = 0; l < kLanes; ++l) sum.v[l] += v.v[l];
        }
      }
      typename Epilogue::State state;
      epilogue.apply(state, epilogue.column(c, count), beside, first + row, c, count, sum);
    }
  }

 private:
  __device__ __forceinline__ T* piece(const WeightPiece& p) const { return dynamic_shared<T>() + p.room; }
  __device__ __forceinline__ float* parts_of_slice(i64 slice) const {
    const i64 all = task_.call.out_h * task_.call.out_w;
    return task_.parts + ((sample_ * task_.slices + slice) * all + i64(row0_) * task_.call.out_w) * d_.c_out;
  }
  // As StoreEpilogue does without a residual.
  __device__ __forceinline__ static float finished(float v, float bias, Act act) {
    return apply_act(act, v + (bias + 0.0f));
  }
  __device__ __forceinline__ static T operand(T v) {
    if constexpr (std::is_same_v<Math, AsTf32>) return __uint_as_float(to_tf32(v));
    return v;
  }
  __device__ __forceinline__ void put(T* to, int c, float v) const {
    *to = c >= channels_ ? T(0.0f) : d_.reduced ? T(v) : operand(T(v));
  }

  __device__ void load_weights() const {
    constexpr int kBatch = 8;
    const WeightPiece* const p = task_.pieces;
    const int end0 = p[0].items(), end1 = end0 + p[1].items(), end2 = end1 + p[2].items(),
              end = end2 + p[3].items();
    struct Place {
      const WeightPiece* piece;
      int row, c;
    };
    const auto place = [&](int i) -> Place {
      const int which = (i >= end0) + (i >= end1) + (i >= end2);
      int row = i - (i >= end2 ? end2 : i >= end1 ? end1 : i >= end0 ? end0 : 0);
      const int c = p[which].groups.split(row) * kLanes;
      return {p + which, row, c};
    };
    for (int first = t_; first < end; first += kBatch * kBlockThreads) {
      Eight<float> raw[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * kBlockThreads >= end) break;
        const Place at = place(first + b * kBlockThreads);
        const WeightPiece& w = *at.piece;
        const float* const from = w.from + c0_ * w.to_channel + at.row * w.row_step + at.c;
        const int rows = w.rows_are_hidden ? channels_ : w.others,
                  columns = w.rows_are_hidden ? w.others : channels_;
        const int count = at.row < rows ? lanes_in(at.c, columns) : 0;
        raw[b] = cuda::fetch(from, (count == kLanes || count == 0) && aligned16(from), count);
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * kBlockThreads >= end) break;
        const Place at = place(first + b * kBlockThreads);
        store_operand<Math>(piece(*at.piece) + at.row * at.piece->to_row + at.c, values(raw[b]));
      }
    }
  }
  __device__ __forceinline__ static bool aligned16(const void* p) {
    return reinterpret_cast<uintptr_t>(p) % 16 == 0;
  }

  __device__ void load_small() const {
    const MBConvCallT<T>& call = task_.call;
    const auto biases = [&](const float* bias, i64 first, int count, int to) {
      for (int i = t_; i < count; i += kBlockThreads) small_[to + i] = bias ? bias[first + i] : 0.0f;
    };
    biases(call.expand.bias, c0_, channels_, SmallRooms::kExpandBias);
    biases(call.depthwise.bias, c0_, channels_, SmallRooms::kDepthwiseBias);
    biases(call.gate.bias, c0_, channels_, SmallRooms::kGateBias);
    biases(call.reduce.bias, 0, int(d_.reduced), SmallRooms::kReduceBias);
    constexpr int kTaps = kKernel * kKernel;
#pragma unroll 4
    for (int i = t_; i < kSlice * kTaps; i += kBlockThreads)
      taps_[i % kTaps * kSlice + i / kTaps] =
          i / kTaps < channels_ ? call.depthwise.w[i64(c0_) * kTaps + i] : 0.0f;
  }

  // The strip's pixels, straight to shared memory where rows are whole accesses of 16 bytes.
  __device__ void ask_for_pixels() const {
    each_pixel_group([&](int p, int c, int count) {
      const T* const from = task_.call.x + (sample_ * d_.h * d_.w + i64(in0_) * d_.w + p) * d_.c_in + c;
      T* const to = x_ + p * task_.x_row + c;
      if (task_.wide_x) {
#pragma unroll
        for (int i = 0; i < kLanes; i += kWide<T>)
          copy_async16(to + i, count ? from + i : task_.call.x, count > 0);
      } else {
#pragma unroll
        for (int i = 0; i < kLanes; ++i) to[i] = i < count ? from[i] : T(0.0f);
      }
    });
    copy_async_commit();
  }
  __device__ void finish_pixels() const {
    copy_async_wait<0>();
    if constexpr (std::is_same_v<Math, AsTf32>)  // what this thread brought
      each_pixel_group([&](int p, int c, int) {
        float* const at = x_ + p * task_.x_row + c;
        store_operand<Math>(at, cuda::load<kLanes>(at));
      });
  }
  template <class F>
  __device__ __forceinline__ void each_pixel_group(F&& f) const {
    for (int i = t_; i < pixels_ * task_.x_groups.value(); i += kBlockThreads) {
      int p = i;
      const int c = task_.x_groups.split(p) * kLanes;
      f(p, c, lanes_in(c, d_.c_in));
    }
  }
  // Without an expansion the slice's channels of x are the hidden ones.
  __device__ void load_hidden() const {
    constexpr int kGroups = kSlice / kLanes;
    for (int i = t_; i < pixels_ * kGroups; i += kBlockThreads) {
      const int c = i % kGroups * kLanes, p = i / kGroups;
      int y = p;
      const int x = task_.w.split(y) + int(d_.pad);
      if (x >= task_.tile_w.value()) continue;
      const T* const from = task_.call.x + (sample_ * d_.h * d_.w + i64(in0_) * d_.w + p) * d_.c_in + c0_ + c;
      store<kLanes>(hidden_ + ((y + in0_ - top_) * task_.tile_w.value() + x) * kSlice + c,
                    load_some(from, task_.wide_x, lanes_in(c, channels_)));
    }
    __syncthreads();
  }

  const MBConvTask<T>& task_;
  const MBConvDims& d_;
  int t_;
  i64 sample_;
  int c0_, channels_;       // of the slice
  int row0_, rows_, outs_;  // of the strip's outputs
  int top_, in0_, pixels_;  // first row of its input, the first that exists; pixels that exist
  T *x_, *hidden_, *out_;   // [pixels][x_row], [tile_h][tile_w][kSlice], [outs][kOutRow]
  float *taps_, *small_;    // [kernel][kernel][kSlice]; see SmallRooms
};

}  // namespace offramp::kernels::cuda
