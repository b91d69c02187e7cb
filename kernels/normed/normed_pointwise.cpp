#include <algorithm>

#include "kernels/cuda/built.h"
#include "kernels/normed/normed.h"
#include "kernels/normed/normed_products.h"
#include "kernels/parallel.h"
#include "kernels/recorder.h"

namespace offramp::kernels {
namespace {

constexpr i64 kTileFloats = i64{48} << 10;  // of both sides of a unit: they stay in L2 beside the weights

// Rows of a unit, a function of shape alone.
i64 unit_rows(const NormedDims& d) {
  const i64 most = std::clamp<i64>(kTileFloats / (d.c_in + d.c_out) / 8 * 8, 32, kMostRows);
  const i64 units = round_up(ceil_div(d.rows, most), kShares);
  return std::min(most, round_up(ceil_div(d.rows, units), 8));
}

// The weights as [c_in][c_out].
void turn_weights(Exec& exec, const NormedPasses& passes, const NormedPointwiseCall& call, float* turned) {
  const i64 c_in = call.dims.c_in, c_out = call.dims.c_out;
  const i64 grain = round_up(std::max<i64>(1, kTileFloats / 2 / c_in), 16);
  parallel_for(exec, c_out, grain, [&](i64 begin, i64 end, int) {
    passes.transpose(call.w + begin * call.w_row, call.w_row, end - begin, c_in, turned + begin, c_out);
  });
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
      const i64 then = row + rows;
      const Next next = next_rows(call.in.x, d.c_in, then, std::min(unit, d.rows - then));
      multiply(engine, x, rows, d.c_in, turned, d.c_out, d.c_out, y, d.c_out, nullptr, call.bias, call.act,
               next);
      if (!call.out.gamma) continue;
      passes.store_statistics(statistics_of(d.c_out, y, partial + u * 2 * d.c_out), rows);
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
        const Next next_dz = next_rows(call.gy.dz, d.c_out, then, rows_then);
        const Next next_y = next_rows(call.gy.y, d.c_out, then, rows_then);
        const Next next_x = next_rows(call.in.x, d.c_in, then, rows_then);
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
        passes.slope(slope_of(call.in, d.c_in, row, g_scratch, gx, partial + u * 2 * d.c_in), rows);
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
