// Pooling, resizing and element-wise passes on the card against the reference in double.
#include <algorithm>

#include "kernels/binary/binary.h"
#include "kernels/binary/binary_ref.h"
#include "kernels/pool/pool.h"
#include "kernels/pool/pool_ref.h"
#include "kernels/resize/resize.h"
#include "kernels/resize/resize_ref.h"
#include "tests/cuda/oracle.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
struct CudaPasses : ::testing::Test {
  static std::vector<float> values(bool whole, i64 count, u64 seed, float factor = 1) {
    if (!whole) return rounded_to<T>(reals(count, seed));
    std::vector<float> out = integers(count, seed, 4);
    for (float& v : out) v *= factor;
    return out;
  }
};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaPasses, Types);

// `terms` float operations on magnitudes that add up to `size`.
Wanted about(const Doubles& value, i64 terms, double size) {
  return {value, Doubles(value.size(), rounding_bound(terms, size))};
}

TYPED_TEST(CudaPasses, Pool) {
  OFFRAMP_NEEDS_CARD();
  using T = TypeParam;
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  for (const PoolKind kind : {PoolKind::max, PoolKind::avg})
    for (const PoolDims d : {PoolDims{2, 7, 6, 24, 3, 2, 1, kind}, PoolDims{1, 5, 5, 13, 2, 2, 0, kind},
                             PoolDims{2, 4, 4, 8, 3, 1, 1, kind}, PoolDims{1, 9, 7, 72, 3, 3, 1, kind}})
      for (const bool whole : {true, false}) {
        const Extent out = pool_out(d);
        const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * out.h * out.w * d.c;
        // Few distinct values: ties go to the first. Shares of 4, 6 and 9 pixels of an integer are integers.
        const auto x = integers(ins, 1, 2), gy = this->values(whole, outs, 2, 36);
        const Doubles in = doubles(x), g = doubles(gy);
        Doubles y = room_for(outs), gx = room_for(ins);
        pool_ref(PoolCallT<double>{.dims = d, .out_h = out.h, .out_w = out.w, .x = in.data(), .y = y.data()});
        pool_grad_ref(PoolGradCallT<double>{
            .dims = d, .out_h = out.h, .out_w = out.w, .x = in.data(), .gy = g.data(), .gx = gx.data()});
        DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
        pool(card, PoolCallT<T>{.dims = d, .out_h = out.h, .out_w = out.w, .x = dx.data(), .y = dy.data()});
        pool_grad(card, PoolGradCallT<T>{.dims = d,
                                         .out_h = out.h,
                                         .out_w = out.w,
                                         .x = dx.data(),
                                         .gy = dgy.data(),
                                         .gx = dgx.data()});
        EXPECT_TRUE(is_stored<T>(dy.floats(), y));
        EXPECT_TRUE(matches<T>(dgx.floats(), about(gx, 9, 9), whole));
        EXPECT_TRUE(dy.intact() && dgx.intact());
      }
  for (const GlobalPoolDims d :
       {GlobalPoolDims{3, 20, 72}, GlobalPoolDims{2, 1, 5}, GlobalPoolDims{5, 64, 24}})
    for (const bool whole : {true, false}) {
      const auto x = this->values(whole, d.n * d.hw * d.c, 1), gy = this->values(whole, d.n * d.c, 2);
      const Doubles in = doubles(x), g = doubles(gy);
      Doubles y = room_for(d.n * d.c), gx = room_for(d.n * d.hw * d.c);
      global_avg_pool_ref(GlobalAvgPoolCallT<double>{.dims = d, .x = in.data(), .y = y.data()});
      global_avg_pool_grad_ref(GlobalAvgPoolGradCallT<double>{.dims = d, .gy = g.data(), .gx = gx.data()});
      DeviceArray<T> dx(x), dgy(gy), dy(d.n * d.c), dgx(d.n * d.hw * d.c);
      global_avg_pool(card, GlobalAvgPoolCallT<T>{.dims = d, .x = dx.data(), .y = dy.data()});
      global_avg_pool_grad(card, GlobalAvgPoolGradCallT<T>{.dims = d, .gy = dgy.data(), .gx = dgx.data()});
      EXPECT_TRUE(matches<T>(dy.floats(), about(y, d.hw, whole ? 4 : 1), whole && d.hw != 20));
      EXPECT_TRUE(is_stored<T>(dgx.floats(), gx));  // one division, rounded once
      EXPECT_TRUE(dy.intact() && dgx.intact());
    }
}

// Magnitudes and numbers of what each value of y and gx is a sum of.
struct ResizeSums {
  Doubles y, gx;
  std::vector<i64> y_terms, gx_terms;
};
ResizeSums magnitudes(const ResizeDims& d, const Doubles& x, const Doubles& gy) {
  ResizeSums out{Doubles(gy.size(), 0.0), Doubles(x.size(), 0.0), std::vector<i64>(gy.size(), 0),
                 std::vector<i64>(x.size(), 0)};
  const i64 taps = resize_taps(d.kind);
  visit_resize(d, [&](i64 n, i64 row, i64 col, const ResizeTaps& rows, const ResizeTaps& cols) {
    for (i64 s = 0; s < taps; ++s)
      for (i64 r = 0; r < taps; ++r)
        for (i64 c = 0; c < d.c; ++c) {
          const size_t from = size_t(((n * d.h + rows.index[r]) * d.w + cols.index[s]) * d.c + c),
                       to = size_t(((n * d.out_h + row) * d.out_w + col) * d.c + c);
          const double w = std::fabs(rows.weight[r] * cols.weight[s]);
          out.y[to] += w * std::fabs(x[from]), ++out.y_terms[to];
          out.gx[from] += w * std::fabs(gy[to]), ++out.gx_terms[from];
        }
  });
  return out;
}

TYPED_TEST(CudaPasses, Resize) {
  OFFRAMP_NEEDS_CARD();
  using T = TypeParam;
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  for (const ResizeKind kind : {ResizeKind::bilinear, ResizeKind::bicubic})
    for (const ResizeDims d : {ResizeDims{2, 5, 4, 8, 8, 10, kind}, ResizeDims{1, 9, 8, 13, 4, 3, kind},
                               ResizeDims{1, 2, 2, 16, 8, 8, kind}, ResizeDims{1, 1, 3, 8, 5, 3, kind},
                               ResizeDims{2, 4, 8, 40, 8, 4, kind}})
      for (const bool whole : {true, false}) {
        SCOPED_TRACE(std::to_string(d.h) + "x" + std::to_string(d.w) + " to " + std::to_string(d.out_h) +
                     "x" + std::to_string(d.out_w));
        const i64 ins = d.n * d.h * d.w * d.c, outs = d.n * d.out_h * d.out_w * d.c;
        const auto x = this->values(whole, ins, 1), gy = this->values(whole, outs, 2);
        const Doubles in = doubles(x), g = doubles(gy);
        Wanted y{room_for(outs), room_for(outs)}, gx{room_for(ins), room_for(ins)};
        resize_ref(ResizeCallT<double>{.dims = d, .x = in.data(), .y = y.value.data()});
        resize_grad_ref(ResizeGradCallT<double>{.dims = d, .gy = g.data(), .gx = gx.value.data()});
        const ResizeSums of = magnitudes(d, in, g);
        // Each weight is rounded, and their product.
        for (size_t i = 0; i < of.y.size(); ++i) y.bound[i] = rounding_bound(of.y_terms[i] + 4, of.y[i]);
        for (size_t i = 0; i < of.gx.size(); ++i) gx.bound[i] = rounding_bound(of.gx_terms[i] + 4, of.gx[i]);
        DeviceArray<T> dx(x), dgy(gy), dy(outs), dgx(ins);
        resize(card, ResizeCallT<T>{.dims = d, .x = dx.data(), .y = dy.data()});
        resize_grad(card, ResizeGradCallT<T>{.dims = d, .gy = dgy.data(), .gx = dgx.data()});
        // Sizes of powers of two have weights of few bits.
        const auto power = [](i64 v) { return (v & (v - 1)) == 0; };
        const bool exact = whole && kind == ResizeKind::bilinear && power(d.out_h) && power(d.out_w);
        EXPECT_TRUE(matches<T>(dy.floats(), y, exact));
        EXPECT_TRUE(matches<T>(dgx.floats(), gx, exact));
        EXPECT_TRUE(dy.intact() && dgx.intact());
      }
}

TYPED_TEST(CudaPasses, Binary) {
  OFFRAMP_NEEDS_CARD();
  using T = TypeParam;
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true})
      for (const i64 c : {24, 13, 72})
        for (const bool whole : {true, false}) {
          const BinaryDims d{3, 11, c, kind, broadcast};
          const i64 count = d.n * d.hw * c, zs = broadcast ? d.n * c : count;
          const auto x = this->values(whole, count, 1), z = this->values(whole, zs, 2),
                     gy = this->values(whole, count, 3);
          const Doubles dx = doubles(x), dz = doubles(z), dgy = doubles(gy);
          Doubles y = room_for(count), gx = room_for(count), gz = room_for(zs);
          binary_reference(BinaryCallT<double>{.dims = d, .x = dx.data(), .z = dz.data(), .y = y.data()});
          binary_grad_reference(BinaryGradCallT<double>{
              .dims = d, .x = dx.data(), .z = dz.data(), .gy = dgy.data(), .gx = gx.data(), .gz = gz.data()});
          DeviceArray<T> cx(x), cz(z), cgy(gy), cy(count), cgx(count), cgz(zs);
          binary(card, BinaryCallT<T>{.dims = d, .x = cx.data(), .z = cz.data(), .y = cy.data()});
          binary_grad(card, BinaryGradCallT<T>{.dims = d,
                                               .x = cx.data(),
                                               .z = cz.data(),
                                               .gy = cgy.data(),
                                               .gx = cgx.data(),
                                               .gz = cgz.data()});
          // One operation, rounded once; only what is summed over pixels may be off.
          EXPECT_TRUE(is_stored<T>(cy.floats(), y));
          EXPECT_TRUE(is_stored<T>(cgx.floats(), gx));
          EXPECT_TRUE(matches<T>(cgz.floats(), about(gz, d.hw, double(d.hw)), whole || !broadcast));
          EXPECT_TRUE(cy.intact() && cgx.intact() && cgz.intact());
        }
}

}  // namespace
}  // namespace offramp::kernels
