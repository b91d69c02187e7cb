// Every row of the card's tables of gemm and conv2d against the reference in double: those the doors take,
// and those of libraries, which are only run by name.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "kernels/cuda/problem.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_ref.h"
#include "tests/cuda/oracle.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

template <class T>
std::vector<float> values(bool whole, i64 count, u64 seed) {
  return whole ? integers(count, seed, 4) : rounded_to<T>(reals(count, seed));
}

// How results are finished: by nothing, in place, or with a residual that lies elsewhere or is the result.
struct Finish {
  bool bias, residual, in_place;
};
constexpr Finish kFinishes[] = {
    {false, false, false}, {true, false, false}, {true, true, false}, {true, true, true}};
Act act_of(const Finish& f, bool whole) { return !f.bias ? Act::none : whole ? Act::relu : Act::hard_swish; }

// Libraries may cut off the operands of tf32, which our rows round: an error of one sign, up to 2^-10 of each
// operand, and round in places of their own; they are held to a whole tensor's scale.
template <class Mode>
::testing::AssertionResult is_right(bool library, bool whole, const std::vector<float>& got,
                                    const Wanted& want) {
  using T = typename Mode::T;
  if (!library) return matches<T>(got, want, whole);
  if (whole && std::is_same_v<T, float>) return is_stored<T>(got, want.value);
  const std::vector<float> value(want.value.begin(), want.value.end());
  return near(got, value, Mode::kMath == offramp::cuda::Math::tf32 ? 2.5e-3 : Mode::kTolerance);
}

template <class Mode>
void check_gemm(const cuda::GemmRow<typename Mode::T>& row) {
  using T = typename Mode::T;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  for (const GemmDims& d : {GemmDims{1, 1, 1}, {1, 10, 96}, {33, 17, 1}, {37, 21, 45}, {64, 128, 72}})
    for (const bool turned_a : {false, true})
      for (const bool turned_b : {false, true})
        for (const Finish& finish : kFinishes)
          for (const bool whole : {false, true}) {
            SCOPED_TRACE(std::string(row.name) + " m " + std::to_string(d.m) + " n " + std::to_string(d.n) +
                         " k " + std::to_string(d.k) + (turned_a ? ", a turned" : "") +
                         (turned_b ? ", b turned" : "") + (finish.in_place ? ", in place" : ""));
            const i64 c_row = d.n + 3, outs = d.m * c_row;
            const auto a = values<T>(whole, d.m * d.k, 1), b = values<T>(whole, d.n * d.k, 2),
                       bias = values<T>(whole, d.n, 3), residual = values<T>(whole, outs, 4);
            const Act act = act_of(finish, whole);
            const auto call = [&]<class V>(const V* pa, const ParamOf<V>* pb, const ParamOf<V>* pbias,
                                           const V* presidual, V* pc) {
              return GemmCallT<V>{.dims = d,
                                  .a = pa,
                                  .a_row = turned_a ? 1 : d.k,
                                  .a_k = turned_a ? d.m : 1,
                                  .b = pb,
                                  .b_col = turned_b ? 1 : d.k,
                                  .b_k = turned_b ? d.n : 1,
                                  .bias = finish.bias ? pbias : nullptr,
                                  .residual = finish.residual ? presidual : nullptr,
                                  .act = act,
                                  .c = pc,
                                  .c_row = c_row};
            };
            Wanted want = sums<Mode>(d.k, [&](const Map& f) {
              const Doubles fa = mapped(f, a), fb = mapped(f, b);
              Doubles all(static_cast<size_t>(outs)), out;
              auto plain = call(fa.data(), fb.data(), static_cast<const double*>(nullptr),
                                static_cast<const double*>(nullptr), all.data());
              plain.bias = plain.residual = nullptr, plain.act = Act::none;
              gemm_ref(plain);
              for (i64 i = 0; i < d.m; ++i)
                for (i64 j = 0; j < d.n; ++j) out.push_back(all[size_t(i * c_row + j)]);
              return out;
            });
            want = then(std::move(want), 1.5, [&](i64 i, double v) {
              if (finish.bias) v += double(bias[size_t(i % d.n)]);
              if (finish.residual) v += double(residual[size_t(i / d.n * c_row + i % d.n)]);
              return apply_act(act, v);
            });
            DeviceArray<T> da(a), dresidual(residual), dc(outs);
            DeviceArray<float> db(b), dbias(bias);
            T* const out = finish.in_place ? dresidual.data() : dc.data();
            offramp::cuda::problem().set(row.name, d);  // as its door does
            row.run(card, call(static_cast<const T*>(da.data()), db.data(), dbias.data(),
                               static_cast<const T*>(dresidual.data()), out));
            const std::vector<float> all = (finish.in_place ? dresidual : dc).floats();
            std::vector<float> got;
            for (i64 i = 0; i < d.m; ++i)
              for (i64 j = 0; j < d.n; ++j) got.push_back(all[size_t(i * c_row + j)]);
            EXPECT_TRUE(is_right<Mode>(!row.selectable, whole, got, want));
            EXPECT_TRUE(dc.intact() && dresidual.intact());
            // Between the rows of c nothing is written.
            for (i64 i = 0; i < d.m; ++i)
              for (i64 j = d.n; j < c_row; ++j) {
                const float gap = all[i * c_row + j];
                EXPECT_TRUE(finish.in_place ? gap == float(T(residual[i * c_row + j])) : std::isnan(gap));
              }
          }
}

template <class Mode>
void check_conv2d(const cuda::Conv2dRow<typename Mode::T>& row) {
  using T = typename Mode::T;
  Exec card(offramp::cuda::Gpu::instance(), Mode::kMath);
  i64 taken = 0;
  for (const Conv2dDims& d : {
           Conv2dDims{.n = 2, .h = 9, .w = 8, .c_in = 3, .c_out = 16, .kernel = 3, .stride = 2, .pad = 1},
           {.n = 1, .h = 7, .w = 7, .c_in = 16, .c_out = 24, .kernel = 3, .stride = 1, .pad = 1},
           {.n = 3, .h = 5, .w = 6, .c_in = 24, .c_out = 40, .kernel = 1, .stride = 1, .pad = 0},
           {.n = 2, .h = 6, .w = 5, .c_in = 8, .c_out = 33, .kernel = 5, .stride = 2, .pad = 2},
           {.n = 2, .h = 6, .w = 6, .c_in = 8, .c_out = 12, .kernel = 3, .stride = 2, .pad = 0, .groups = 4},
           {.n = 1, .h = 1, .w = 1, .c_in = 96, .c_out = 10, .kernel = 1, .stride = 1, .pad = 0},
       }) {
    if (!row.accepts(d)) continue;
    ++taken;
    for (const bool cropped : {false, true})
      for (const Finish& finish : kFinishes)
        for (const bool whole : {false, true}) {
          SCOPED_TRACE(std::string(row.name) + " " + std::to_string(d.c_in) + "->" + std::to_string(d.c_out) +
                       " k" + std::to_string(d.kernel) + " s" + std::to_string(d.stride) +
                       (cropped ? ", cropped" : "") + (finish.in_place ? ", in place" : ""));
          // Cropped: the centre of a larger kernel over more channels.
          const i64 per = d.c_in / d.groups, big_k = d.kernel + (cropped ? 2 : 0),
                    big_c = per + (cropped ? 5 : 0);
          const auto view = [&]<class V>(const V* p) {
            return crop_kernel(WeightViewT<V>{p, big_k * big_k * big_c, big_k * big_c, big_c}, big_k,
                               d.kernel);
          };
          const Extent out = conv2d_out(d);
          const i64 outs = d.n * out.h * out.w * d.c_out;
          const auto x = values<T>(whole, d.n * d.h * d.w * d.c_in, 1),
                     w = values<T>(whole, d.c_out * big_k * big_k * big_c, 2),
                     bias = values<T>(whole, d.c_out, 3), residual = values<T>(whole, outs, 4);
          const Act act = act_of(finish, whole);
          const auto call = [&]<class V>(const V* px, const ParamOf<V>* pw, const ParamOf<V>* pbias,
                                         const V* presidual, V* py) {
            return Conv2dCallT<V>{.dims = d,
                                  .out_h = out.h,
                                  .out_w = out.w,
                                  .x = px,
                                  .w = view(pw),
                                  .bias = finish.bias ? pbias : nullptr,
                                  .residual = finish.residual ? presidual : nullptr,
                                  .act = act,
                                  .y = py};
          };
          Wanted want = sums<Mode>(d.kernel * d.kernel * per, [&](const Map& f) {
            const Doubles fx = mapped(f, x), fw = mapped(f, w);
            Doubles y = room_for(outs);
            auto plain = call(fx.data(), fw.data(), static_cast<const double*>(nullptr),
                              static_cast<const double*>(nullptr), y.data());
            plain.bias = plain.residual = nullptr, plain.act = Act::none;
            conv2d_ref(plain);
            return y;
          });
          want = then(std::move(want), 1.5, [&](i64 i, double v) {
            if (finish.bias) v += double(bias[size_t(i % d.c_out)]);
            if (finish.residual) v += double(residual[size_t(i)]);
            return apply_act(act, v);
          });
          DeviceArray<T> dx(x), dresidual(residual), dy(outs);
          DeviceArray<float> dw(w), dbias(bias);
          T* const result = finish.in_place ? dresidual.data() : dy.data();
          offramp::cuda::problem().set(row.name, d);  // as its door does
          row.run(card, call(static_cast<const T*>(dx.data()), dw.data(), dbias.data(),
                             static_cast<const T*>(dresidual.data()), result));
          EXPECT_TRUE(
              is_right<Mode>(!row.selectable, whole, (finish.in_place ? dresidual : dy).floats(), want));
          EXPECT_TRUE(dy.intact() && dresidual.intact());
        }
  }
  EXPECT_GT(taken, 0) << row.name;
}

template <class Row>
const Row* named(std::span<const Row> rows, std::string_view name) {
  for (const Row& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

template <class Mode>
struct CudaRows : ::testing::Test {};
TYPED_TEST_SUITE(CudaRows, Modes);

TYPED_TEST(CudaRows, OfTheHouse) {
  OFFRAMP_NEEDS_CARD();
  for (const auto& row : cuda::gemm_rows<typename TypeParam::T>())
    if (row.selectable) check_gemm<TypeParam>(row);
  for (const auto& row : cuda::conv2d_rows<typename TypeParam::T>())
    if (row.selectable) check_conv2d<TypeParam>(row);
}

TYPED_TEST(CudaRows, OfCublas) {
  OFFRAMP_NEEDS_CARD();
  const auto* row = named(cuda::gemm_rows<typename TypeParam::T>(), "gemm/cublas/cuda");
  if (!row) GTEST_SKIP() << "this build has no cuBLAS (OFFRAMP_CUBLAS)";
  EXPECT_FALSE(row->selectable);
  check_gemm<TypeParam>(*row);
}

TYPED_TEST(CudaRows, OfCudnn) {
  OFFRAMP_NEEDS_CARD();
  const auto* row = named(cuda::conv2d_rows<typename TypeParam::T>(), "conv2d/cudnn/cuda");
  if (!row) GTEST_SKIP() << "this build has no cuDNN (OFFRAMP_CUDNN)";
  EXPECT_FALSE(row->selectable);
  check_conv2d<TypeParam>(*row);
}

}  // namespace
}  // namespace offramp::kernels
