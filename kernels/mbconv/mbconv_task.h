// What blocks of threads are told about an inverted-residual block: where everything lies.
#pragma once
#include "kernels/cuda/divide.h"
#include "kernels/cuda/fragments.h"
#include "kernels/mbconv/mbconv_call.h"

namespace offramp::kernels::cuda {

using namespace offramp::cuda;

inline constexpr int kSlice = kChunk, kBlockThreads = 256, kBlockWarps = kBlockThreads / 32;
inline constexpr int kStripOuts = 4;  // of a row: one thread's

// A layer's weights for one slice, on their way to shared memory: hidden channels are its rows or its
// columns, `others` of the other kind.
struct WeightPiece {
  const float* from;  // of all channels
  i64 row_step, to_channel;
  bool rows_are_hidden;
  int others;
  int room, rooms,
      to_row;      // in shared memory, elements: where they begin; rows, zeros at the end; between rows
  Divisor groups;  // of eight columns, zeros at the end
  __host__ __device__ int items() const { return rooms * groups.value(); }
};

// Whose weights a piece is.
enum Piece { kOfExpand, kOfProject, kOfReduce, kOfGate, kPieces };

// Shared memory, in bytes from its beginning.
struct MBConvRooms {
  int x, hidden, out, taps, small, total;
};
// Floats behind `small`; behind the last come the reduced values, as operands, and the parts of gates.
struct SmallRooms {
  static constexpr int kExpandBias = 0, kDepthwiseBias = kSlice, kGateBias = 2 * kSlice, kGate = 3 * kSlice,
                       kFold = 4 * kSlice, kMean = kFold + 16 * kSlice, kReduceBias = kMean + kSlice;
  __host__ __device__ static int floats(int reduced) {
    return kReduceBias + 3 * ((reduced + kChunk - 1) / kChunk * kChunk);
  }
};

template <class T>
struct MBConvTask {
  MBConvCallT<T> call;
  MBConvRooms rooms;
  WeightPiece pieces[kPieces];  // those that are not there have no items
  i64 slices;
  int strip_rows;     // outputs
  int tile_h, x_row;  // rows of a strip's hidden input; elements between pixels of x in shared memory
  Divisor w, tile_w, x_groups, out_strips;
  bool wide_x;
  float *squeezed, *parts;  // [n][slices][reduced], [n][slices][out_h * out_w][c_out]
  u32* barrier;
  LiveRows live;
};

}  // namespace offramp::kernels::cuda
