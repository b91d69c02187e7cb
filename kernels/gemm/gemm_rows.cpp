#include "kernels/gemm/gemm_rows.h"

#include <algorithm>

#include "kernels/gemm/tile_engine.h"
#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

// Rows a unit hands to the engine at once.
constexpr i64 kMostRows = 256;
// Below this many rows, packing a b whose columns are contiguous costs more than it gains.
constexpr i64 kFewRows = 64;
// Multiply-accumulates that are worth a visit to another thread, two microseconds or more.
constexpr i64 kUnitMacs = i64{1} << 18;

}  // namespace

void gemm_pack(const GemmDims& d, const TileEngine& engine, const float* b, i64 b_col, i64 b_k,
               float* packed) {
  const i64 start = 0;
  engine.pack({.n = d.n,
               .b_col = b_col,
               .b_k = b_k,
               .b_seg = &start,
               .segs = 1,
               .seg_k = d.k,
               .b = b,
               .packed = packed,
               .pairs = true});
}

void gemm_tiles(Exec& exec, const GemmCall& call, const TileEngine& engine) {
  const GemmDims& d = call.dims;
  const float* packed = call.packed;
  const i64 last_columns = d.n % engine.width;
  const bool paired = last_columns > 0 && 2 * last_columns <= engine.width;  // only a packed b can be
  const bool as_it_lies = !packed && call.b_col == 1 && d.m < kFewRows && !paired;
  if (!packed && !as_it_lies) {
    float* scratch = exec.shared_scratch(packed_floats(engine, d.n, d.k));
    gemm_pack(d, engine, call.b, call.b_col, call.b_k, scratch);
    packed = scratch;
  }

  // A unit: some rows of c times some panels of columns. Rows of A are meant to stay in L2 (64 Ki floats)
  // while the panels of b pass by. Few rows are cut by columns, so that every thread reads its part of b
  // alone.
  const i64 rows = std::clamp<i64>((i64{1} << 16) / d.k / 8 * 8, 16, kMostRows);
  const i64 row_units = ceil_div(d.m, rows), unit_rows = std::min(d.m, rows);
  const i64 panels = ceil_div(d.n, engine.columns), panel_macs = unit_rows * d.k * engine.columns;
  const i64 unit_panels = row_units < 8 ? std::min(panels, ceil_div(kUnitMacs, panel_macs)) : panels;
  const i64 col_units = ceil_div(panels, unit_panels), cols = unit_panels * engine.columns;
  const i64 grain = std::max<i64>(1, kUnitMacs / (unit_rows * d.k * std::min(cols, d.n)));

  parallel_for(exec, row_units * col_units, grain, [&](i64 begin, i64 end, int) {
    const float* a[kMostRows];
    i64 c_off[kMostRows];
    const i64 start = 0;
    for (i64 unit = begin; unit < end; ++unit) {
      const i64 row = unit / col_units * rows, panel = unit % col_units * unit_panels;
      const i64 col = as_it_lies ? panel * engine.columns : 0;  // packed panels need not be full
      const i64 count = std::min(rows, d.m - row);
      for (i64 i = 0; i < count; ++i) {
        a[i] = call.a + (row + i) * call.a_row;
        c_off[i] = (row + i) * call.c_row;
      }
      engine.run({.m = count,
                  .n = as_it_lies ? std::min(cols, d.n - col) : d.n,
                  .a = a,
                  .a_k = call.a_k,
                  .a_seg = &start,
                  .segs = 1,
                  .seg_k = d.k,
                  .packed = !as_it_lies,
                  .pairs = !as_it_lies,
                  .b = as_it_lies ? call.b + col : packed,
                  .b_seg = &start,
                  .b_k = call.b_k,
                  .c = call.c + col,
                  .c_off = c_off,
                  .accumulate = false,
                  .bias = call.bias ? call.bias + col : nullptr,
                  .residual = call.residual ? call.residual + col : nullptr,
                  .act = call.act,
                  .first_panel = as_it_lies ? 0 : panel,
                  .end_panel = as_it_lies ? 0 : std::min(panel + unit_panels, panels)});
    }
  });
}

}  // namespace offramp::kernels
