// The card's row of whole inverted-residual blocks, and where it can be taken.
#include "kernels/cuda/gemm_kernels.h"
#include "kernels/cuda/problem.h"
#include "kernels/depthwise/depthwise_launch.h"
#include "kernels/mbconv/mbconv.h"
#include "kernels/mbconv/mbconv_block.h"

namespace offramp::kernels {
namespace cuda {
namespace {

constexpr const char* kRow = "mbconv/block/cuda";

template <class Math, int kKernel, int kStride, class Epilogue>
__global__ void __launch_bounds__(kBlockThreads)
    mbconv_block(const __grid_constant__ MBConvTask<typename Math::Stored> task, const Epilogue epilogue) {
  const MBConvBlock<Math, kKernel, kStride> block(task);
  const bool wanted = !task.live.beyond(blockIdx.z);
  const auto meet = [&] {
    if (task.slices > 1)
      grid_barrier(task.barrier);
    else
      __syncthreads();
  };
  if (wanted) {
    block.load();
    if (task.call.dims.expands) block.expand();
    block.depthwise();
  }
  if (task.call.dims.reduced) {
    if (wanted) block.squeeze();
    meet();
    if (wanted) block.excite();
  }
  if (wanted) block.project();
  meet();
  if (wanted) block.finish(epilogue);
}

i64 slices_of(const MBConvDims& d) { return ceil_div(d.mid, kSlice); }

// Rows of outputs that a block takes: as few as keep it busy, so that many multiprocessors work;
// squeeze-excite sums over all pixels where they lie.
i64 strip_rows(const Gpu& gpu, const MBConvDims& d, const Extent& out) {
  constexpr i64 kFewest = 32;  // outputs
  i64 rows = out.h;
  while (d.reduced == 0 && rows > 1 && rows * out.w > kFewest &&
         d.n * slices_of(d) * ceil_div(out.h, (rows + 1) / 2) <= gpu.properties().multiprocessors)
    rows = (rows + 1) / 2;
  return rows;
}

i64 in_chunks(i64 count) { return ceil_div(count, kChunk) * kChunk; }
i64 in_lanes(i64 count) { return ceil_div(count, kLanes) * kLanes; }

// Everything but the pointers: of a call that there may only be the sizes of.
template <class T>
MBConvTask<T> task_of(const Gpu& gpu, const MBConvCallT<T>& call) {
  const MBConvDims& d = call.dims;
  const Extent out{call.out_h, call.out_w};
  MBConvTask<T> task{};
  task.call = call;
  task.slices = slices_of(d);
  task.strip_rows = int(strip_rows(gpu, d, out));
  task.tile_h = int((task.strip_rows - 1) * d.stride + d.kernel);
  task.out_strips = Divisor(ceil_div(out.w, kStripOuts));
  task.tile_w = Divisor((task.out_strips.value() * kStripOuts - 1) * d.stride + d.kernel);
  task.w = Divisor(d.w);
  task.x_row = int(in_chunks(d.c_in)) + kBankPad<T>;
  task.x_groups = Divisor(in_chunks(d.c_in) / kLanes);
  task.wide_x = wide_rows(call.x, d.c_in);

  constexpr i64 kSliceRow = kSlice + kBankPad<T>;
  i64 elements = 0;
  const auto piece = [&](Piece i, const MBConvLayer& layer, bool rows_are_hidden, i64 others) {
    WeightPiece& p = task.pieces[i];
    p = {.from = layer.w,
         .row_step = rows_are_hidden ? others : d.mid,
         .to_channel = rows_are_hidden ? others : 1,
         .rows_are_hidden = rows_are_hidden,
         .others = int(others),
         .room = int(elements),
         .rooms = int(rows_are_hidden ? kSlice : in_lanes(others)),
         .to_row = int(rows_are_hidden ? in_chunks(others) + kBankPad<T> : kSliceRow),
         .groups = Divisor((rows_are_hidden ? in_chunks(others) : i64{kSlice}) / kLanes)};
    elements += i64(p.rooms) * p.to_row;
  };
  if (d.expands) piece(kOfExpand, call.expand, true, d.c_in);
  piece(kOfProject, call.project, false, d.c_out);
  if (d.reduced) piece(kOfReduce, call.reduce, false, d.reduced), piece(kOfGate, call.gate, true, d.reduced);

  i64 bytes = elements * i64(sizeof(T));
  const auto room = [&](i64 count, std::size_t size) {
    const i64 begin = bytes;
    bytes += ceil_div(count * i64(size), 16) * 16;
    return int(begin);
  };
  const i64 in_rows = task.tile_h < d.h ? task.tile_h : d.h, outs = task.strip_rows * out.w;
  task.rooms.x = room(d.expands ? ceil_div(in_rows * d.w, 16) * 16 * task.x_row : 0, sizeof(T));
  task.rooms.hidden = room(i64(task.tile_h) * task.tile_w.value() * kSlice, sizeof(T));
  task.rooms.out = room(ceil_div(outs, 16) * 16 * kSliceRow, sizeof(T));
  task.rooms.taps = room(d.kernel * d.kernel * kSlice, sizeof(float));
  task.rooms.small = room(SmallRooms::floats(int(d.reduced)), sizeof(float));
  task.rooms.total = int(bytes < (i64{1} << 30) ? bytes : i64{1} << 30);
  return task;
}

template <class T>
i64 strips(const MBConvTask<T>& task) {
  return ceil_div(task.call.out_h, task.strip_rows);
}

template <class T>
void run(Exec& exec, const MBConvCallT<T>& call) {
  const MBConvDims& d = call.dims;
  if (!note(exec, kRow, d, mbconv_cost(d))) return;
  Gpu& gpu = *exec.gpu();
  MBConvTask<T> task = task_of(gpu, call);
  const i64 squeezed = d.n * task.slices * d.reduced;
  task.squeezed = gpu.scratch(squeezed + d.n * task.slices * call.out_h * call.out_w * d.c_out);
  task.parts = task.squeezed + squeezed;
  task.barrier = gpu.barrier();
  task.live = live_rows(gpu, d.n);
  const Launch l{.op = kRow,
                 .grid = task.slices,
                 .block = kBlockThreads,
                 .shared = task.rooms.total,
                 .grid_y = strips(task),
                 .grid_z = d.n,
                 .together = task.slices > 1};
  const auto epilogue =
      store_epilogue<T>(call.y, d.c_out, d.c_out, call.project.bias, call.residual, call.project.act);
  with_math<T>(exec, [&](auto math) {
    with_kernel(d.kernel, [&](auto kernel) {
      if (d.stride == 1)
        launch(gpu, l, mbconv_block<decltype(math), kernel(), 1, StoreEpilogue<T>>, task, epilogue);
      else
        launch(gpu, l, mbconv_block<decltype(math), kernel(), 2, StoreEpilogue<T>>, task, epilogue);
    });
  });
}

}  // namespace
}  // namespace cuda

template <class T>
bool mbconv_fits(const Exec& exec, const MBConvDims& d) {
  using namespace cuda;
  if (!exec.gpu() || !has_tile(depthwise_of(d)) || d.n > exec.gpu()->properties().multiprocessors)
    return false;
  const Extent out = depthwise_out(depthwise_of(d));
  const MBConvTask<T> task = task_of(*exec.gpu(), MBConvCallT<T>{.dims = d, .out_h = out.h, .out_w = out.w});
  return d.n * strips(task) * task.slices <= exec.gpu()->properties().multiprocessors &&
         task.rooms.total <= exec.gpu()->properties().shared_per_block;
}
template bool mbconv_fits<float>(const Exec&, const MBConvDims&);
template bool mbconv_fits<Bf16>(const Exec&, const MBConvDims&);

void mbconv(Exec& exec, const MBConvCallT<float>& call) { cuda::run(exec, call); }
void mbconv(Exec& exec, const MBConvCallT<Bf16>& call) { cuda::run(exec, call); }

}  // namespace offramp::kernels
