// The tile engine of a target, for the doors of gemm and conv2d. Not for target files: it has functions.
#pragma once
#include "kernels/gemm/tiles.h"
#include "kernels/target.h"

namespace offramp::kernels {

inline const TileEngine& tile_engine(Target target) {
  switch (target) {
#if defined(__x86_64__)
    case Target::avx2:
      return tile_engine_avx2;
    case Target::avx512:
      return tile_engine_avx512;
#endif
    default:
      return tile_engine_portable;
  }
}

constexpr i64 ceil_div(i64 a, i64 b) { return (a + b - 1) / b; }
constexpr i64 round_up(i64 a, i64 b) { return ceil_div(a, b) * b; }

// Floats of a packed operand of n columns and k rows.
inline i64 packed_floats(const TileEngine& engine, i64 n, i64 k) { return round_up(n, engine.width) * k; }

}  // namespace offramp::kernels
