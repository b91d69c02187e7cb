#include <algorithm>

#include "kernels/cuda/built.h"
#include "kernels/gemm/tile_engine.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_parts.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

constexpr i64 kMostRows = 256;
constexpr i64 kTileFloats = i64{48} << 10;  // of both sides of a unit: they stay in L2 beside the weights

// Rows of a unit, a function of shape alone: units of about equal size, a multiple of kShares of them, so
// that threads get equal shares.
constexpr i64 kShares = 4;
i64 unit_rows(const NormedDims& d) {
  const i64 most = std::clamp<i64>(kTileFloats / (d.c_in + d.c_out) / 8 * 8, 32, kMostRows);
  const i64 units = round_up(ceil_div(d.rows, most), kShares);
  return std::min(most, round_up(ceil_div(d.rows, units), 8));
}

// Row pointers and places of a tile [rows][c].
void rows_of(const float* tile, i64 row, i64 rows, const float** a) {
  for (i64 i = 0; i < rows; ++i) a[i] = tile + i * row;
}

// Floats from a column of a turned tile to the next.
constexpr i64 turned_row(i64 rows) { return round_up(rows, 16) + 16; }

// Memory to be read behind a product, asked for meanwhile.
struct Next {
  const float* data = nullptr;
  i64 floats = 0;
};

// sum [m][n] (+)= a^T b over `rows` rows of a [rows][a_row], m columns of it, and b [rows][n]. a is turned in
// `scratch`, m * turned_row(rows) floats: a tile of sums then reads eight streams instead of a new line of a
// in every step.
void add_outer(const TileEngine& engine, const NormedPasses& passes, const float* a, i64 a_row, i64 m,
               const float* b, i64 n, i64 rows, float* scratch, float* sum, bool accumulate, Next next = {}) {
  const i64 start = 0, step = turned_row(rows);
  passes.transpose(a, a_row, rows, m, scratch, step);
  const float* columns[kMostRows];
  i64 c_off[kMostRows];
  for (i64 first = 0; first < m; first += kMostRows) {
    const i64 count = std::min(kMostRows, m - first);
    for (i64 i = 0; i < count; ++i) {
      columns[i] = scratch + (first + i) * step;
      c_off[i] = (first + i) * n;
    }
    engine.run({.m = count,
                .n = n,
                .a = columns,
                .a_k = 1,
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
                .act = Act::none,
                .next = next.data,
                .next_floats = first == 0 ? next.floats : 0});
  }
}

// The weights as [c_in][c_out].
void turn_weights(Exec& exec, const NormedPasses& passes, const NormedPointwiseCall& call, float* turned) {
  const i64 c_in = call.dims.c_in, c_out = call.dims.c_out;
  const i64 grain = round_up(std::max<i64>(1, kTileFloats / 2 / c_in), 16);
  parallel_for(exec, c_out, grain, [&](i64 begin, i64 end, int) {
    passes.transpose(call.w + begin * call.w_row, call.w_row, end - begin, c_in, turned + begin, c_out);
  });
}

// Few rows and weights that outweigh them (the end of a network): the work is cut by output columns, not by
// rows, so that weights are read once, gradients of weights need no partial sums, and there is something to
// share among threads.
constexpr i64 kFewRows = 512, kFewFloats = i64{5} << 16, kFormRows = 32;
bool few_rows(const NormedDims& d) {
  return d.rows <= kFewRows && d.rows * (d.c_in + d.c_out) <= kFewFloats && d.c_in * d.c_out >= 4096;
}

// c [rows][columns of `c`, c_row apart] = a [rows][k] * b [k][n], b_k apart, for n columns.
void multiply(const TileEngine& engine, const float* a, i64 rows, i64 k, const float* b, i64 b_k, i64 n,
              float* c, i64 c_row, const float* residual, const float* bias = nullptr, Act act = Act::none,
              Next next = {}) {
  const i64 start = 0;
  const float* lines[kMostRows];
  i64 c_off[kMostRows];
  for (i64 first = 0; first < rows; first += kMostRows) {
    const i64 count = std::min(kMostRows, rows - first);
    rows_of(a + first * k, k, count, lines);
    for (i64 i = 0; i < count; ++i) c_off[i] = (first + i) * c_row;
    engine.run({.m = count,
                .n = n,
                .a = lines,
                .a_k = 1,
                .a_seg = &start,
                .segs = 1,
                .seg_k = k,
                .packed = false,
                .b = b,
                .b_seg = &start,
                .b_k = b_k,
                .c = c,
                .c_off = c_off,
                .accumulate = false,
                .bias = bias,
                .residual = residual,
                .act = act,
                .next = next.data,
                .next_floats = first == 0 ? next.floats : 0});
  }
}

// All rows of `in`, or of gy.
const float* read_all(Exec& exec, const NormedPasses& passes, const Normed& in, const NormedDims& d,
                      float* out) {
  if (!in.mean) return in.x;
  parallel_for(exec, d.rows, kFormRows, [&](i64 begin, i64 end, int) {
    read_tile(passes, in, d.c_in, d.hw, begin, end - begin, out + begin * d.c_in);
  });
  return out;
}
const float* form_all(Exec& exec, const NormedPasses& passes, const NormedGrad& gy, const NormedDims& d,
                      float* out) {
  if (!gy.y) return gy.dz;
  parallel_for(exec, d.rows, kFormRows, [&](i64 begin, i64 end, int) {
    passes.form(form_of(gy, d.c_out, begin, out + begin * d.c_out, rows_by(d.c_out)), end - begin);
  });
  return out;
}

// Columns cut into shares of up to a panel: about equal numbers of vectors, and a multiple of kShares of them
// where there are as many.
struct Columns {
  i64 n, width, vectors, count;
  Columns(const TileEngine& engine, i64 n)
      : n(n),
        width(engine.width),
        vectors(ceil_div(n, width)),
        count(std::min(vectors, round_up(ceil_div(n, engine.columns), kShares))) {}
  i64 first(i64 share) const { return std::min(n, vectors * share / count * width); }
};

// Shares of columns that are worth a visit to another thread.
i64 column_grain(i64 macs) { return std::max<i64>(1, (i64{1} << 20) / std::max<i64>(1, macs)); }

// Channels [first, first + count) of y, turned: [channel][turned_row(rows)], from x turned likewise. Weights
// are read once, as they lie.
void multiply_by_weights(const TileEngine& engine, const NormedPointwiseCall& call, i64 first, i64 count,
                         const float* turned_x, float* turned_y) {
  const i64 start = 0, rows = call.dims.rows, step = turned_row(rows);
  const float* weights[kMostRows];
  i64 c_off[kMostRows];
  for (i64 done = 0; done < count; done += kMostRows) {
    const i64 m = std::min(kMostRows, count - done);
    for (i64 i = 0; i < m; ++i) {
      weights[i] = call.w + (first + done + i) * call.w_row;
      c_off[i] = (done + i) * step;
      if (call.bias) std::fill_n(turned_y + c_off[i], rows, call.bias[first + done + i]);
    }
    engine.run({.m = m,
                .n = rows,
                .a = weights,
                .a_k = 1,
                .a_seg = &start,
                .segs = 1,
                .seg_k = call.dims.c_in,
                .packed = false,
                .b = turned_x,
                .b_seg = &start,
                .b_k = step,
                .c = turned_y,
                .c_off = c_off,
                .accumulate = call.bias != nullptr,
                .bias = nullptr,
                .residual = nullptr,
                .act = call.act,
                .next = call.w + (first + done) * call.w_row,
                .next_floats = std::min(m + 8, call.dims.c_out - first - done) * call.w_row});
  }
}

void forward_by_columns(Exec& exec, const TileEngine& engine, const NormedPasses& passes,
                        const NormedPointwiseCall& call) {
  const NormedDims& d = call.dims;
  const i64 W = engine.columns, chunks = ceil_div(d.rows, kFormRows);
  const i64 x_floats = round_up(d.rows * d.c_in, 16), step = turned_row(d.rows);
  // Whichever is less to turn: the weights, or x and y, which then change places with them in the product.
  const bool turn_x = d.rows * (d.c_in + d.c_out) < d.c_in * d.c_out;
  const i64 turned_floats = turn_x ? step * d.c_in : 0;
  float* const scratch = exec.shared_scratch(x_floats + turned_floats + chunks * 2 * d.c_out);
  float* const turned_x = scratch + x_floats;
  float* const partial = turned_x + turned_floats;
  const float* const x = read_all(exec, passes, call.in, d, scratch);
  const Columns columns(engine, d.c_out);
  const i64 grain = column_grain(d.rows * d.c_in * W);
  if (turn_x) {
    parallel_for(exec, d.c_in, column_grain(d.rows * 16), [&](i64 begin, i64 end, int) {
      passes.transpose(x + begin, d.c_in, d.rows, end - begin, turned_x + begin * step, step);
    });
    parallel_for(exec, columns.count, grain, [&](i64 begin, i64 end, int worker) {
      const i64 first = columns.first(begin), count = columns.first(end) - first;
      float* const turned_y = exec.worker_scratch(worker, count * step);
      multiply_by_weights(engine, call, first, count, turned_x, turned_y);
      passes.transpose(turned_y, step, count, d.rows, call.y + first, d.c_out);
    });
  } else {
    parallel_for(exec, columns.count, grain, [&](i64 begin, i64 end, int worker) {
      float* const turned = exec.worker_scratch(worker, W * d.c_in);
      for (i64 share = begin; share < end; ++share) {
        const i64 col = columns.first(share), n = columns.first(share + 1) - col;
        passes.transpose(call.w + col * call.w_row, call.w_row, n, d.c_in, turned, W);
        multiply(engine, x, d.rows, d.c_in, turned, W, n, call.y + col, d.c_out, nullptr,
                 call.bias ? call.bias + col : nullptr, call.act);
      }
    });
  }
  if (!call.out.gamma) return;
  parallel_for(exec, d.rows, kFormRows, [&](i64 begin, i64 end, int) {
    float* const sums = partial + begin / kFormRows * 2 * d.c_out;
    float* const y = call.y + begin * d.c_out;
    passes.store_statistics({.c = d.c_out,
                             .step = d.c_out,
                             .tile = y,
                             .tile_at = rows_by(d.c_out),
                             .residual = nullptr,
                             .y = y,
                             .sum = sums,
                             .squares = sums + d.c_out},
                            end - begin);
  });
  finish_statistics(exec, d.rows, d.c_out, kFormRows, call.y, partial, call.out);
}

void gradients_by_columns(Exec& exec, const TileEngine& engine, const NormedPasses& passes,
                          const NormedPointwiseGradCall& call) {
  const NormedDims& d = call.dims;
  const bool slope = call.gx && call.in.mean && !call.in.gate;
  const i64 W = engine.columns, chunks = ceil_div(d.rows, kFormRows);
  const i64 x_floats = round_up(d.rows * d.c_in, 16), y_floats = round_up(d.rows * d.c_out, 16);
  float* const x_scratch = exec.shared_scratch(x_floats + y_floats + (slope ? chunks * 2 * d.c_in : 0));
  float* const gy_scratch = x_scratch + x_floats;
  float* const partial = gy_scratch + y_floats;
  const float* const gy = form_all(exec, passes, call.gy, d, gy_scratch);
  if (call.gw) {
    const float* const x = read_all(exec, passes, call.in, d, x_scratch);
    const Columns columns(engine, d.c_out);
    parallel_for(exec, columns.count, column_grain(d.rows * d.c_in * W), [&](i64 begin, i64 end, int worker) {
      float* const scratch = exec.worker_scratch(worker, W * turned_row(d.rows));
      for (i64 share = begin; share < end; ++share) {
        const i64 first = columns.first(share), count = columns.first(share + 1) - first;
        add_outer(engine, passes, gy + first, d.c_out, count, x, d.c_in, d.rows, scratch,
                  call.gw + first * d.c_in, false);
      }
    });
  }
  if (!call.gx) return;
  const Columns columns(engine, d.c_in);
  parallel_for(exec, columns.count, column_grain(d.rows * d.c_out * W), [&](i64 begin, i64 end, int) {
    const i64 col = columns.first(begin), n = columns.first(end) - col;
    multiply(engine, gy, d.rows, d.c_out, call.w + col, call.w_row, n, call.gx + col, d.c_in,
             call.residual ? call.residual + col : nullptr);
  });
  if (!slope) return;
  parallel_for(exec, d.rows, kFormRows, [&](i64 begin, i64 end, int) {
    float* const sums = partial + begin / kFormRows * 2 * d.c_in;
    float* const gx = call.gx + begin * d.c_in;
    passes.slope({.c = d.c_in,
                  .step = d.c_in,
                  .g = gx,
                  .g_at = rows_by(d.c_in),
                  .x = call.in.x + begin * d.c_in,
                  .mean = call.in.mean,
                  .scale = call.in.scale,
                  .beta = call.in.beta,
                  .act = call.in.act,
                  .gate = nullptr,
                  .shift = nullptr,
                  .shift_factor = 1,
                  .dz = gx,
                  .sum = sums,
                  .sum_with_d = sums + d.c_in},
                 end - begin);
  });
  finish_sums(exec, d.rows, d.c_in, chunks, partial, call.in.scale, call.out);
}

}  // namespace

void normed_pointwise(Exec& exec, const NormedPointwiseCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_pointwise(exec, call);
  const NormedDims& d = call.dims;
  if (!note(exec,
            normed_row(exec.target(), "normed_pointwise/any/portable", "normed_pointwise/any/avx2",
                       "normed_pointwise/any/avx512"),
            normed_pointwise_cost(d)))
    return;
  const TileEngine& engine = tile_engine(exec.target());
  const NormedPasses& passes = normed_passes(exec.target());
  if (few_rows(d)) return forward_by_columns(exec, engine, passes, call);
  const i64 unit = unit_rows(d), units = ceil_div(d.rows, unit);
  const i64 size = round_up(d.c_in * d.c_out, 16);
  float* const turned = exec.shared_scratch(size + units * 2 * d.c_out);
  float* const partial = turned + size;
  turn_weights(exec, passes, call, turned);

  parallel_for(exec, units, 1, [&](i64 begin, i64 end, int worker) {
    float* const scratch = exec.worker_scratch(worker, unit * d.c_in);
    for (i64 u = begin; u < end; ++u) {
      const i64 row = u * unit, rows = std::min(unit, d.rows - row);
      const float* const x = read_tile(passes, call.in, d.c_in, d.hw, row, rows, scratch);
      float* const y = call.y + row * d.c_out;
      const Next next{call.in.x + (row + rows) * d.c_in, std::min(unit, d.rows - row - rows) * d.c_in};
      multiply(engine, x, rows, d.c_in, turned, d.c_out, d.c_out, y, d.c_out, nullptr, call.bias, call.act,
               next);
      if (!call.out.gamma) continue;
      float* const sums = partial + u * 2 * d.c_out;
      passes.store_statistics({.c = d.c_out,
                               .step = d.c_out,
                               .tile = y,
                               .tile_at = rows_by(d.c_out),
                               .residual = nullptr,
                               .y = y,
                               .sum = sums,
                               .squares = sums + d.c_out},
                              rows);
    }
  });
  if (call.out.gamma) finish_statistics(exec, d.rows, d.c_out, unit, call.y, partial, call.out);
}

void run_normed_pointwise_grad(Exec& exec, Target target, const NormedPointwiseGradCall& call) {
  const NormedDims& d = call.dims;
  const TileEngine& engine = tile_engine(target);
  const NormedPasses& passes = normed_passes(target);
  if (few_rows(d)) return gradients_by_columns(exec, engine, passes, call);
  const i64 unit = unit_rows(d), units = ceil_div(d.rows, unit);
  // The wider side belongs on the vectors: gw is then summed as [c_in][c_out].
  const bool turned = d.c_out > d.c_in;
  const bool slope = call.gx && call.in.mean && !call.in.gate;
  const i64 size = round_up(d.c_in * d.c_out, 16);
  // Parts have their own sums of gw: two units each at least, but enough parts to share.
  const i64 parts = std::min(units, std::clamp<i64>(units / 2, 4, 16));
  float* const sums = exec.shared_scratch(parts * size + (slope ? units * 2 * d.c_in : 0));
  float* const partial = sums + parts * size;
  parallel_for(exec, parts, 1, [&](i64 begin, i64 end, int worker) {
    const i64 y_floats = round_up(unit * d.c_out, 16) + 80, x_floats = round_up(unit * d.c_in, 16) + 80;
    float* const gy_scratch =
        exec.worker_scratch(worker, y_floats + 2 * x_floats + std::min(d.c_in, d.c_out) * turned_row(unit));
    float *const x_scratch = gy_scratch + y_floats, *const g_scratch = x_scratch + x_floats;
    float* const a_scratch = g_scratch + x_floats;
    for (i64 part = begin; part < end; ++part) {
      const i64 first = units * part / parts, last = units * (part + 1) / parts;
      for (i64 u = first; u < last; ++u) {
        const i64 row = u * unit, rows = std::min(unit, d.rows - row);
        const float* gy = call.gy.dz + row * d.c_out;
        if (call.gy.y) {
          passes.form(form_of(call.gy, d.c_out, row, gy_scratch, rows_by(d.c_out)), rows);
          gy = gy_scratch;
        }
        const float* const x = read_tile(passes, call.in, d.c_in, d.hw, row, rows, x_scratch);
        float* const sum = sums + part * size;
        // Of the unit behind this one, asked for while the products run.
        const i64 then = row + rows, rows_then = u + 1 < last ? std::min(unit, d.rows - then) : 0;
        const Next next_dz{call.gy.dz + then * d.c_out, rows_then * d.c_out};
        const Next next_y{call.gy.y + then * d.c_out, call.gy.y ? rows_then * d.c_out : 0};
        const Next next_x{call.in.x + then * d.c_in, rows_then * d.c_in};
        if (call.gw)
          turned ? add_outer(engine, passes, x, d.c_in, d.c_in, gy, d.c_out, rows, a_scratch, sum, u != first,
                             next_y)
                 : add_outer(engine, passes, gy, d.c_out, d.c_out, x, d.c_in, rows, a_scratch, sum,
                             u != first, next_x);
        if (!call.gx) continue;
        float* const gx = call.gx + row * d.c_in;
        multiply(engine, gy, rows, d.c_out, call.w, call.w_row, d.c_in, slope ? g_scratch : gx, d.c_in,
                 call.residual ? call.residual + row * d.c_in : nullptr, nullptr, Act::none, next_dz);
        if (!slope) continue;
        float* const slopes = partial + u * 2 * d.c_in;
        passes.slope({.c = d.c_in,
                      .step = d.c_in,
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
  if (call.gw)
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

void normed_pointwise_grad(Exec& exec, const NormedPointwiseGradCall& call) {
  if constexpr (offramp::cuda::kBuilt)
    if (exec.gpu()) return cuda::normed_pointwise_grad(exec, call);
  if (note(exec,
           normed_row(exec.target(), "normed_pointwise_grad/any/portable", "normed_pointwise_grad/any/avx2",
                      "normed_pointwise_grad/any/avx512"),
           normed_pointwise_grad_cost(call.dims)))
    run_normed_pointwise_grad(exec, exec.target(), call);
}

}  // namespace offramp::kernels
