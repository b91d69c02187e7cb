// Products, matrix loads and asynchronous copies of the emulated card.
#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/block.h"
#include "kernels/cuda/language.h"

namespace offramp::cuda {

namespace {

// What every lane gave, as arrays of T.
template <class T>
const T& of_lane(const std::byte* all, int lane) {
  return *reinterpret_cast<const T*>(all + lane * 64);
}
struct Operands {
  u32 a[4], b[2];
};
float bf16_part(u32 reg, int half) { return std::bit_cast<float>(half ? reg & 0xffff0000u : reg << 16); }

}  // namespace

void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const std::byte* all = emulate::gather(&mine, sizeof mine);
  const int lane = emulate::lane(), g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, col = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int pair = k % 8 / 2, half = k % 2, upper = k / 8;
      const u32 ra = of_lane<Operands>(all, row % 8 * 4 + pair).a[row / 8 + 2 * upper];
      const u32 rb = of_lane<Operands>(all, col * 4 + pair).b[upper];
      d[i] += bf16_part(ra, half) * bf16_part(rb, half);
    }
  }
  __syncwarp();
}

void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const std::byte* all = emulate::gather(&mine, sizeof mine);
  const int lane = emulate::lane(), g = lane / 4, t = lane % 4;
  const auto value = [](u32 v) { return std::bit_cast<float>(v & 0xffffe000u); };
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, col = 2 * t + i % 2;
    for (int k = 0; k < 8; ++k)
      d[i] += value(of_lane<Operands>(all, row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2]) *
              value(of_lane<Operands>(all, col * 4 + k % 4).b[k / 4]);
  }
  __syncwarp();
}

namespace {

// Lane i gives row i % 8 of matrix i / 8.
template <bool kTransposed>
void load_matrices(u32 (&r)[4], const void* row) {
  check_aligned(row, 16);
  const std::byte* all = emulate::gather(&row, sizeof row);
  const int lane = emulate::lane();
  const auto at = [&](int matrix, int i, int j) {
    return u32(static_cast<const uint16_t*>(of_lane<const void*>(all, matrix * 8 + i))[j]);
  };
  for (int m = 0; m < 4; ++m) {
    const int i = lane / 4, j = lane % 4 * 2;
    r[m] = kTransposed ? at(m, j, i) | at(m, j + 1, i) << 16 : at(m, i, j) | at(m, i, j + 1) << 16;
  }
  __syncwarp();
}

emulate::Fiber& my_fiber() { return emulate::running().fiber(); }

}  // namespace

void ldmatrix_x4(u32 (&r)[4], const void* row) { load_matrices<false>(r, row); }
void ldmatrix_x4_transposed(u32 (&r)[4], const void* row) { load_matrices<true>(r, row); }

void copy_async16(void* to, const void* from, bool valid) {
  check_aligned(to, 16);
  if (valid) check_aligned(from, 16);
  my_fiber().copies.push_back({to, valid ? from : nullptr, 16});
}
void copy_async4(void* to, const void* from, bool valid) {
  check_aligned(to, 4);
  if (valid) check_aligned(from, 4);
  my_fiber().copies.push_back({to, valid ? from : nullptr, 4});
}
void copy_async_commit() { my_fiber().groups.push_back(my_fiber().copies.size()); }
void finish_copies(int groups_left) { my_fiber().finish_copies(std::size_t(groups_left)); }

}  // namespace offramp::cuda
#endif
