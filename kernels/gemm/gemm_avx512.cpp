// The tile engine for AVX-512: 8 x 48 tiles, 24 of 32 registers accumulate.
#include "kernels/gemm/tiles.h"
#include "kernels/vec/avx512.h"

namespace offramp::kernels {
namespace {
constexpr int kMaxVectors = 3;
// 8 row pointers are what the general registers hold.
constexpr int kRows[] = {0, 8, 8, 8};
constexpr int kTwinRows = 4;
}  // namespace
}  // namespace offramp::kernels

#include "kernels/gemm/body.inc"

namespace offramp::kernels {
const TileEngine tile_engine_avx512{.width = Vec::kWidth,
                                    .columns = kMaxVectors * Vec::kWidth,
                                    .run = run_tiles,
                                    .pack = pack_tiles,
                                    .add = add_floats};
}  // namespace offramp::kernels
