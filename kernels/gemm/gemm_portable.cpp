// The tile engine for any CPU: 4 x 8 tiles, written for 16 registers of 4 floats.
#include "kernels/gemm/tiles.h"
#include "kernels/vec/portable.h"

namespace offramp::kernels {
namespace {
constexpr int kMaxVectors = 2;
constexpr int kRows[] = {0, 4, 4};
constexpr int kTwinRows = 1;
}  // namespace
}  // namespace offramp::kernels

#include "kernels/gemm/body.inc"

namespace offramp::kernels {
const TileEngine tile_engine_portable{.width = Vec::kWidth,
                                      .columns = kMaxVectors * Vec::kWidth,
                                      .run = run_tiles,
                                      .pack = pack_tiles,
                                      .add = add_floats};
}  // namespace offramp::kernels
