// The tile engine for AVX2 with FMA: 4 x 24 tiles, 12 of 16 registers accumulate.
#include "kernels/gemm/tiles.h"
#include "kernels/vec/avx2.h"

namespace offramp::kernels {
namespace {
constexpr int kMaxVectors = 3;
constexpr int kRows[] = {0, 8, 6, 4};
constexpr int kTwinRows = 1;
}  // namespace
}  // namespace offramp::kernels

#include "kernels/gemm/body.inc"

namespace offramp::kernels {
const TileEngine tile_engine_avx2{.width = Vec::kWidth,
                                  .columns = kMaxVectors * Vec::kWidth,
                                  .run = run_tiles,
                                  .pack = pack_tiles,
                                  .add = add_floats};
}  // namespace offramp::kernels
