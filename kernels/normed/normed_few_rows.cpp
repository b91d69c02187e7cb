#include <algorithm>

#include "kernels/normed/normed_products.h"
#include "kernels/parallel.h"

namespace offramp::kernels {
namespace {

constexpr i64 kFormRows = 32;  // rows of a chunk in the passes around a product

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

}  // namespace

bool few_rows(const NormedDims& d) {
  constexpr i64 kFewRows = 512, kFewFloats = i64{5} << 16;
  return d.rows <= kFewRows && d.rows * (d.c_in + d.c_out) <= kFewFloats && d.c_in * d.c_out >= 4096;
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
    passes.store_statistics(statistics_of(d.c_out, call.y + begin * d.c_out, sums), end - begin);
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
    float* const gx = call.gx + begin * d.c_in;
    float* const sums = partial + begin / kFormRows * 2 * d.c_in;
    passes.slope(slope_of(call.in, d.c_in, begin, gx, gx, sums), end - begin);
  });
  finish_sums(exec, d.rows, d.c_in, chunks, partial, call.in.scale, call.out);
}

}  // namespace offramp::kernels
