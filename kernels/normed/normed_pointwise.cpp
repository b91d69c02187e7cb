#include <algorithm>

#include "kernels/gemm/tile_engine.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

constexpr i64 kMostRows = 256;
constexpr i64 kTileFloats = i64{1} << 16;  // of both sides of a unit: they stay in L2 beside the weights

// Rows of a unit, a function of shape alone.
i64 unit_rows(const NormedDims& d) {
  return std::min(d.rows, std::clamp<i64>(kTileFloats / (d.c_in + d.c_out) / 8 * 8, 32, kMostRows));
}

// Row pointers and places of a tile [rows][c].
void rows_of(const float* tile, i64 row, i64 rows, const float** a) {
  for (i64 i = 0; i < rows; ++i) a[i] = tile + i * row;
}
void places(i64 row, i64 rows, i64* c_off) {
  for (i64 i = 0; i < rows; ++i) c_off[i] = i * row;
}

// sum [m][n] (+)= a^T b over `rows` rows of a [rows][m] and b [rows][n].
void add_outer(const TileEngine& engine, const float* a, i64 m, const float* b, i64 n, i64 rows, float* sum,
               bool accumulate) {
  const i64 start = 0;
  const float* columns[kMostRows];
  i64 c_off[kMostRows];
  for (i64 first = 0; first < m; first += kMostRows) {
    const i64 count = std::min(kMostRows, m - first);
    for (i64 i = 0; i < count; ++i) {
      columns[i] = a + first + i;
      c_off[i] = (first + i) * n;
    }
    engine.run({.m = count,
                .n = n,
                .a = columns,
                .a_k = m,
                .a_seg = &start,
                .segs = 1,
                .seg_k = rows,
                .packed = false,
                .b = b,
                .b_seg = &start,
                .b_k = n,
                .c = sum,
                .c_off = c_off,
                .accumulate = accumulate,
                .bias = nullptr,
                .residual = nullptr,
                .act = Act::none});
  }
}

// The transposed weights [c_in][c_out] in the engine's panels.
void pack_forward(const TileEngine& engine, const NormedPasses& passes, const NormedPointwiseCall& call,
                  float* turned, float* packed) {
  const i64 c_in = call.dims.c_in, c_out = call.dims.c_out;
  passes.transpose(call.w, call.w_row, c_out, c_in, turned, c_out);
  const i64 start = 0;
  engine.pack({.n = c_out,
               .b_col = 1,
               .b_k = c_out,
               .b_seg = &start,
               .segs = 1,
               .seg_k = c_in,
               .b = turned,
               .packed = packed});
}

}  // namespace

void normed_pointwise(Exec& exec, const NormedPointwiseCall& call) {
  const NormedDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_pointwise/any/portable", "normed_pointwise/any/avx2",
                       "normed_pointwise/any/avx512"),
            normed_pointwise_cost(d)))
    return;
  const TileEngine& engine = tile_engine(exec.target());
  const NormedPasses& passes = normed_passes(exec.target());
  const i64 unit = unit_rows(d), units = ceil_div(d.rows, unit);
  const i64 packed_size = round_up(packed_floats(engine, d.c_out, d.c_in), 16);
  float* const packed =
      exec.shared_scratch(packed_size + round_up(d.c_in * d.c_out, 16) + units * 2 * d.c_out);
  float* const turned = packed + packed_size;
  float* const partial = turned + round_up(d.c_in * d.c_out, 16);
  pack_forward(engine, passes, call, turned, packed);

  parallel_for(exec, units, 1, [&](i64 begin, i64 end, int worker) {
    float* const scratch = exec.worker_scratch(worker, unit * d.c_in);
    const float* a[kMostRows];
    i64 c_off[kMostRows];
    places(d.c_out, unit, c_off);
    const i64 start = 0;
    for (i64 u = begin; u < end; ++u) {
      const i64 row = u * unit, rows = std::min(unit, d.rows - row);
      rows_of(read_tile(passes, call.in, d.c_in, d.hw, row, rows, scratch), d.c_in, rows, a);
      float* const y = call.y + row * d.c_out;
      engine.run({.m = rows,
                  .n = d.c_out,
                  .a = a,
                  .a_k = 1,
                  .a_seg = &start,
                  .segs = 1,
                  .seg_k = d.c_in,
                  .packed = true,
                  .b = packed,
                  .b_seg = &start,
                  .b_k = 0,
                  .c = y,
                  .c_off = c_off,
                  .accumulate = false,
                  .bias = nullptr,
                  .residual = nullptr,
                  .act = Act::none});
      float* const sums = partial + u * 2 * d.c_out;
      passes.store_statistics({.c = d.c_out,
                               .tile = y,
                               .tile_at = rows_by(d.c_out),
                               .residual = nullptr,
                               .y = y,
                               .sum = sums,
                               .squares = sums + d.c_out},
                              rows);
    }
  });
  finish_statistics(exec, d.rows, d.c_out, unit, call.y, partial, call.out);
}

void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCall& call) {
  const NormedDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_pointwise_grad/any/portable", "normed_pointwise_grad/any/avx2",
                       "normed_pointwise_grad/any/avx512"),
            normed_pointwise_grad_cost(d)))
    return;
  const TileEngine& engine = tile_engine(exec.target());
  const NormedPasses& passes = normed_passes(exec.target());
  const i64 unit = unit_rows(d), units = ceil_div(d.rows, unit);
  // The wider side belongs on the vectors: gw is then summed as [c_in][c_out].
  const bool turned = d.c_out > d.c_in;
  const bool slope = call.gx && call.in.mean && !call.in.gate;
  const i64 size = round_up(d.c_in * d.c_out, 16);
  // Parts have their own sums of gw; fewer where gw is large beside the units.
  const i64 parts = std::min<i64>(units, size > (i64{1} << 15) ? 8 : 16);
  const i64 packed_size = call.gx ? round_up(packed_floats(engine, d.c_in, d.c_out), 16) : 0;
  float* const sums = exec.shared_scratch(parts * size + packed_size + (slope ? units * 2 * d.c_in : 0));
  float* const packed = sums + parts * size;
  float* const partial = packed + packed_size;
  const i64 start = 0;
  if (call.gx)
    engine.pack({.n = d.c_in,
                 .b_col = 1,
                 .b_k = call.w_row,
                 .b_seg = &start,
                 .segs = 1,
                 .seg_k = d.c_out,
                 .b = call.w,
                 .packed = packed});

  parallel_for(exec, parts, 1, [&](i64 begin, i64 end, int worker) {
    const i64 y_floats = round_up(unit * d.c_out, 16) + 80, x_floats = round_up(unit * d.c_in, 16) + 80;
    float* const gy = exec.worker_scratch(worker, y_floats + 2 * x_floats);
    float *const x_scratch = gy + y_floats, *const g_scratch = x_scratch + x_floats;
    const float* a[kMostRows];
    i64 c_off[kMostRows];
    rows_of(gy, d.c_out, unit, a);
    places(d.c_in, unit, c_off);
    for (i64 part = begin; part < end; ++part) {
      const i64 first = units * part / parts, last = units * (part + 1) / parts;
      for (i64 u = first; u < last; ++u) {
        const i64 row = u * unit, rows = std::min(unit, d.rows - row);
        passes.form(form_of(call.gy, d.c_out, row, gy, rows_by(d.c_out)), rows);
        const float* const x = read_tile(passes, call.in, d.c_in, d.hw, row, rows, x_scratch);
        float* const sum = sums + part * size;
        if (turned)
          add_outer(engine, x, d.c_in, gy, d.c_out, rows, sum, u != first);
        else
          add_outer(engine, gy, d.c_out, x, d.c_in, rows, sum, u != first);
        if (!call.gx) continue;
        float* const gx = call.gx + row * d.c_in;
        engine.run({.m = rows,
                    .n = d.c_in,
                    .a = a,
                    .a_k = 1,
                    .a_seg = &start,
                    .segs = 1,
                    .seg_k = d.c_out,
                    .packed = true,
                    .b = packed,
                    .b_seg = &start,
                    .b_k = 0,
                    .c = slope ? g_scratch : gx,
                    .c_off = c_off,
                    .accumulate = false,
                    .bias = nullptr,
                    .residual = call.residual ? call.residual + row * d.c_in : nullptr,
                    .act = Act::none});
        if (!slope) continue;
        float* const slopes = partial + u * 2 * d.c_in;
        passes.slope({.c = d.c_in,
                      .g = g_scratch,
                      .g_at = rows_by(d.c_in),
                      .x = call.in.x + row * d.c_in,
                      .mean = call.in.mean,
                      .scale = call.in.scale,
                      .beta = call.in.beta,
                      .act = call.in.act,
                      .gate = nullptr,
                      .shift = nullptr,
                      .shift_factor = 1,
                      .dz = gx,
                      .sum = slopes,
                      .sum_with_d = slopes + d.c_in},
                     rows);
      }
    }
  });
  const i64 rows = turned ? d.c_in : d.c_out, cols = turned ? d.c_out : d.c_in;
  const i64 grain = round_up(std::max<i64>(1, (i64{1} << 14) / cols), 16);
  parallel_for(exec, rows, grain, [&](i64 begin, i64 end, int) {
    float* const total = sums + begin * cols;
    for (i64 part = 1; part < parts; ++part) engine.add(total, total + part * size, (end - begin) * cols);
    if (turned)
      passes.transpose(total, cols, end - begin, cols, call.gw + begin, d.c_in);
    else
      std::copy(total, total + (end - begin) * cols, call.gw + begin * cols);
  });
  if (slope) finish_sums(exec, d.rows, d.c_in, units, partial, call.in.scale, call.out);
}

}  // namespace offramp::kernels
