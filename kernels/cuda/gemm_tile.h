// Matrix products of a block of threads: C[m][n] = sum over k of A B, with operands formed while they are
// loaded and results handed on in rows of eight columns. Who uses it brings
//   Side   (A and B)  what a "row" of eight neighbouring values is:
//                     Raw fetch(row, c) issues the loads (zero outside), Floats<8> finish(raw, parameters,
//                     stride) forms the values. kParameters floats of each channel wait in shared memory:
//                     put_parameters(c, to, stride, at) puts them there. Of `k` values of c that run over k,
//                     channels_along(k) have channels of their own; channel_of(c) is c's
//   Epilogue          takes each row of eight results (normed_epilogues.h)
// Math decides how: Bf16 and tf32 on tensor cores with sums in float, float exactly on the ordinary units. A
// side is k-contiguous when c runs over k (then row is m or n), otherwise rows run over k.
#pragma once
#include "kernels/cuda/columns.h"
#include "kernels/cuda/fragments.h"

namespace offramp::cuda {

template <class Math, int kM, int kN, int kWarpsM, int kWarpsN, bool kAContiguous, bool kBContiguous,
          int kDepth = 64>
struct GemmTile : ColumnThreads<32 * kWarpsM * kWarpsN, kN> {
  using Stored = typename Math::Stored;
  static constexpr int kK = kDepth, kThreads = 32 * kWarpsM * kWarpsN;
  static constexpr int kRows = kM;
  // Blocks that shall share a multiprocessor: floats want too many registers for two.
  static constexpr int kBlocks = sizeof(Stored) == 2 ? 2 : 1;
  using Threads = ColumnThreads<kThreads, kN>;
  using Threads::first_row, Threads::group, Threads::kRowStep;
  // Fragments of a warp: 16 x 8 results each.
  static constexpr int kFragsM = kM / kWarpsM / 16, kFragsN = kN / kWarpsN / 8;
  static constexpr int kPad = kBankPad<Stored>;
  static constexpr int kRowA = kAContiguous ? kK + kPad : kM + 8, kRowB = kBContiguous ? kK + kPad : kN + 8;
  static constexpr int kSizeA = (kAContiguous ? kM : kK) * kRowA, kSizeB = (kBContiguous ? kN : kK) * kRowB;
  static constexpr int kStage = kSizeA + kSizeB;
  static constexpr int kRowC = kN + 4;
  static constexpr i64 kStages = i64(2 * kStage * int(sizeof(Stored))), kResults = i64(kM * kRowC * 4);
  // Where B lies when it stays: behind A's stage and the results.
  static constexpr int kResting = kSizeA > int(kResults) / int(sizeof(Stored))
                                      ? kSizeA
                                      : int(kResults) / int(sizeof(Stored));
  static constexpr i64 kRested = i64(kResting + kSizeB) * i64(sizeof(Stored));
  static constexpr i64 kShared = kStages > kRested ? kStages : kRested;
  static constexpr int kVectorsA = kM * kK / 8 / kThreads, kVectorsB = kN * kK / 8 / kThreads;
  static_assert(kVectorsA * 8 * kThreads == kM * kK && kVectorsB * 8 * kThreads == kN * kK);
  static_assert(kK % kChunk == 0);

  // Channels whose parameters a block needs, and the shared memory of a launch.
  __host__ __device__ static int whole_steps(i64 k) { return int((k + kK - 1) / kK * kK); }
  template <class A>
  __host__ __device__ static int channels_a(const A& a, i64 k) {
    return kAContiguous ? whole_steps(a.channels_along(k)) : kM;
  }
  template <class B>
  __host__ __device__ static int channels_b(const B& b, i64 k) {
    return kBContiguous ? whole_steps(b.channels_along(k)) : kN;
  }
  template <class A, class B>
  static i64 shared_bytes(const A& a, const B& b, i64 k) {
    return kShared + 4 * i64(A::kParameters * channels_a(a, k) + B::kParameters * channels_b(b, k));
  }

  // One side's part of a stage, on its way through registers.
  template <class Side, int kVectors, bool kContiguous, int kWidth, int kRow>
  struct Loader {
    static constexpr int kPerRow = (kContiguous ? kK : kWidth) / 8;
    static_assert(kThreads % kPerRow == 0);  // a thread stays in its eight channels
    const Side& side;
    int base;  // m0 or n0
    const float* parameters;
    int stride;
    typename Side::Raw raw[kVectors];

    __device__ __forceinline__ Loader(const Side& s, int first, float* to, int channels)
        : side(s), base(first), parameters(to), stride(channels) {}
    __device__ __forceinline__ static int row_of(int i) {
      return (int(threadIdx.x) + i * kThreads) / kPerRow;
    }
    __device__ __forceinline__ static int c_of() { return int(threadIdx.x) % kPerRow * 8; }
    __device__ __forceinline__ void fetch(int k) {
      const int c = (kContiguous ? k : base) + c_of(), row = kContiguous ? base : k;
#pragma unroll
      for (int i = 0; i < kVectors; ++i) raw[i] = side.fetch(row + row_of(i), c);
    }
    __device__ __forceinline__ void prepare(float* to) const {
      if constexpr (Side::kParameters > 0)
        for (int i = int(threadIdx.x); i < stride; i += kThreads)
          side.put_parameters((kContiguous ? 0 : base) + i, to, stride, i);
    }
    __device__ __forceinline__ void put(Stored* shared, int k) {
      const float* const mine = parameters + (kContiguous ? side.channel_of(k + c_of()) : c_of());
#pragma unroll
      for (int i = 0; i < kVectors; ++i) {
        store_operand<Math>(shared + row_of(i) * kRow + c_of(), side.finish(raw[i], mine, stride));
      }
    }
  };

  using Warp = Fragments<Math, kFragsM, kFragsN, kAContiguous, kBContiguous>;
  using Sums = typename Warp::Sums;

  // The products of a block's tiles, one below the other: those of the k range [begin, end) of `all`.
  // Parameters of channels are brought once. kStays: one stage holds the range, so B is brought once too.
  template <class A, class B, bool kStays>
  class Products {
   public:
    // Asks for the first tile, at (m0, n0). All threads; shared memory from kShared on belongs to it, B's
    // place of the second stage where it stays, and the rest between one multiply() and hand_on().
    __device__ __forceinline__ Products(const A& a, const B& b, int m0, int n0, int begin, int end, int all)
        : a_(a, m0, parameters(), channels_a(a, all)),
          b_(b, n0, parameters() + A::kParameters * channels_a(a, all), channels_b(b, all)),
          begin_(begin),
          end_(end) {
      a_.fetch(begin);
      b_.fetch(begin);
      a_.prepare(parameters());
      b_.prepare(parameters() + A::kParameters * channels_a(a, all));
      __syncthreads();
      if constexpr (kStays) b_.put(stage(0) + kResting, begin);
    }

    // sums = the tile's.
    __device__ __forceinline__ void multiply(Sums& sums) {
      if constexpr (kStays) {
        a_.put(stage(0), begin_);
        __syncthreads();
        products<true>(stage(0), stage(0) + kResting, end_ - begin_, sums);
      } else {
        Warp::clear(sums);
        int here = 0;
        for (int k = begin_; k < end_; k += kK, here ^= 1) {
          a_.put(stage(here), k);
          b_.put(stage(here) + kSizeA, k);
          __syncthreads();
          if (k + kK < end_) {
            a_.fetch(k + kK);
            b_.fetch(k + kK);
          }
          products<false>(stage(here), stage(here) + kSizeA, end_ - k < kK ? end_ - k : kK, sums);
          // The other stage is written next; this one only after the next barrier.
        }
      }
      __syncthreads();
    }

    // Asks for the tile whose first row is m0.
    __device__ __forceinline__ void go_on(int m0) {
      a_.base = m0;
      a_.fetch(begin_);
      if constexpr (!kStays) b_.fetch(begin_);
    }

   private:
    __device__ __forceinline__ static float* parameters() { return dynamic_shared<float>() + kShared / 4; }
    __device__ __forceinline__ static Stored* stage(int i) { return dynamic_shared<Stored>() + i * kStage; }
    Loader<A, kVectorsA, kAContiguous, kM, kRowA> a_;
    Loader<B, kVectorsB, kBContiguous, kN, kRowB> b_;
    int begin_, end_;
  };

  // `depth` of the stage's k are there, zeros behind them. kFirst: sums = instead of +=.
  template <bool kFirst>
  __device__ __forceinline__ static void products(const Stored* a, const Stored* b, int depth, Sums& sums) {
    const int warp = int(threadIdx.x) / 32;
    const Stored *const mine_a = a + warp / kWarpsN * (kFragsM * 16) * (kAContiguous ? kRowA : 1),
                        *const mine_b = b + warp % kWarpsN * (kFragsN * 8) * (kBContiguous ? kRowB : 1);
#pragma unroll
    for (int k = 0; k < kK; k += kChunk) {
      const Stored *const ka = mine_a + k * (kAContiguous ? 1 : kRowA), *const kb =
                                                                            mine_b +
                                                                            k * (kBContiguous ? 1 : kRowB);
      if (kFirst && k == 0)
        Warp::set_chunk(ka, kRowA, kb, kRowB, depth, sums);
      else if (k < depth)
        Warp::add_chunk(ka, kRowA, kb, kRowB, depth - k, sums);
    }
  }

  // Calls fetch(row of the tile) for each of this thread's rows of eight results, begin(first row of the
  // block) and apply(row of the tile, what was fetched, values). Shared memory is free before and after.
  template <class Fetch, class Begin, class Apply>
  __device__ static void hand_on(const Sums& sums, Fetch&& fetch, Begin&& begin, Apply&& apply) {
    constexpr int kMine = kM / kRowStep;
    decltype(fetch(0)) raw[kMine];
#pragma unroll
    for (int i = 0; i < kMine; ++i) raw[i] = fetch(first_row() + i * kRowStep);
    float* const c = dynamic_shared<float>();
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    const int m = warp / kWarpsN * (kFragsM * 16), n = warp % kWarpsN * (kFragsN * 8), g = lane / 4,
              t = lane % 4;
#pragma unroll
    for (int i = 0; i < kFragsM; ++i)
#pragma unroll
      for (int j = 0; j < kFragsN; ++j)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          float* const to = c + (m + i * 16 + g + h * 8) * kRowC + n + j * 8 + 2 * t;
          to[0] = sums.v[i][j][2 * h];
          to[1] = sums.v[i][j][2 * h + 1];
        }
    __syncthreads();
    begin(load<8>(c + group() * 8));
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int row = first_row() + i * kRowStep;
      apply(row, raw[i], load<8>(c + row * kRowC + group() * 8));
    }
    __syncthreads();
  }
};

}  // namespace offramp::cuda
