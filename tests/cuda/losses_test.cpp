// Softmax and the losses on the card against the reference in double.
#include "kernels/exit_loss/exit_loss.h"
#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_ref.h"
#include "tests/cuda/oracle.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

// Logits reach from -4 to 4. The exponential of a difference of two is off by a few units in the last place
// and by what rounding took from the difference; so is a probability.
constexpr double kRange = 8;
double of_probability() { return float_error(kRange + 8); }

template <class T>
struct CudaLosses : ::testing::Test {};
using Types = ::testing::Types<float, Bf16>;
TYPED_TEST_SUITE(CudaLosses, Types);

template <class T>
void check_softmax(Exec& card, const SoftmaxDims& d, const std::vector<float>& x,
                   const std::vector<float>& gy) {
  const i64 count = d.rows * d.classes;
  DeviceArray<T> dx(x), dgy(gy), dy(count), dgx(count);
  softmax(card, SoftmaxCallT<T>{.dims = d, .x = dx.data(), .y = dy.data()});
  softmax_grad(card, SoftmaxGradCallT<T>{.dims = d, .y = dy.data(), .gy = dgy.data(), .gx = dgx.data()});
  const Doubles in = doubles(x), g = doubles(gy),
                stored = doubles(dy.floats());  // the gradient's own operand
  Wanted y{room_for(count), room_for(count)}, gx = y;
  softmax_reference(SoftmaxCallT<double>{.dims = d, .x = in.data(), .y = y.value.data()}, 0, d.rows);
  softmax_grad_reference(
      SoftmaxGradCallT<double>{.dims = d, .y = stored.data(), .gy = g.data(), .gx = gx.value.data()}, 0,
      d.rows);
  for (i64 row = 0; row < d.rows; ++row) {
    double all = 0;
    for (i64 j = 0; j < d.classes; ++j) {
      const size_t i = size_t(row * d.classes + j);
      all += std::fabs(d.log ? g[i] : g[i] * stored[i]);
    }
    for (i64 j = 0; j < d.classes; ++j) {
      const size_t i = size_t(row * d.classes + j);
      const double p = d.log ? std::exp(stored[i]) : stored[i];
      y.bound[i] = d.log ? float_error(2 * kRange) : of_probability() * y.value[i];
      gx.bound[i] =
          p * (rounding_bound(d.classes, all) + float_error(kRange * all)) + float_error(2 * std::fabs(g[i]));
    }
  }
  EXPECT_TRUE(meets<T>(dy.floats(), y));
  EXPECT_TRUE(meets<T>(dgx.floats(), gx));
  EXPECT_TRUE(dy.intact() && dgx.intact());
}

// A loss and its gradient with respect to logits, in double.
struct Loss {
  double value = 0, size = 0;  // size: of what is added up, for the bound
  Doubles gx;
  double of_gx = 0;   // bound of each
  Doubles between{};  // what is stored of gx before more is added
};
Loss cross_entropy_of(i64 rows, i64 classes, double smoothing, const Doubles& x,
                      const std::vector<i64>& target, double upstream) {
  Loss out{.gx = room_for(rows * classes)};
  Doubles of_row = room_for(rows);
  cross_entropy_reference(CrossEntropyCallT<double>{.rows = rows,
                                                    .classes = classes,
                                                    .label_smoothing = smoothing,
                                                    .x = x.data(),
                                                    .target = target.data(),
                                                    .loss = nullptr,
                                                    .upstream = upstream,
                                                    .gx = out.gx.data()},
                          0, rows, of_row.data());
  for (const double v : of_row) out.value += v / double(rows);
  out.size = 3 * kRange;
  out.of_gx = upstream / double(rows) * 2 * of_probability();
  return out;
}
Loss kl_div_of(i64 rows, i64 classes, double temperature, const Doubles& x, const Doubles& teacher,
               double upstream) {
  Loss out{.gx = room_for(rows * classes)};
  Doubles of_row = room_for(rows), scratch = room_for(classes);
  kl_div_reference(KlDivCallT<double>{.rows = rows,
                                      .classes = classes,
                                      .temperature = temperature,
                                      .x = x.data(),
                                      .teacher = teacher.data(),
                                      .loss = nullptr,
                                      .upstream = upstream,
                                      .gx = out.gx.data()},
                   0, rows, of_row.data(), scratch.data());
  for (const double v : of_row) out.value += v / double(rows);
  out.size = temperature * temperature * 3 * kRange;
  out.of_gx = upstream / double(rows) * temperature * 2 * of_probability();
  return out;
}
Loss operator+(Loss a, const Loss& b) {
  for (size_t i = 0; i < a.gx.size(); ++i) a.gx[i] += b.gx[i];
  return {.value = a.value + b.value, .size = a.size + b.size, .gx = a.gx, .of_gx = a.of_gx + b.of_gx};
}
template <class T>
Wanted gradient(const Loss& l) {
  Wanted out{l.gx, Doubles(l.gx.size(), l.of_gx)};
  for (size_t i = 0; i < l.between.size(); ++i) out.bound[i] += storage_error<T>() * std::fabs(l.between[i]);
  return out;
}

TYPED_TEST(CudaLosses, AreTheReferenceInDouble) {
  OFFRAMP_NEEDS_CARD();
  using T = TypeParam;
  Exec card(offramp::cuda::Gpu::instance(), offramp::cuda::Math::f32);
  for (const i64 rows : {1, 9, 70, 300})
    for (const i64 classes : {3, 10, 100}) {
      SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(classes));
      const i64 count = rows * classes;
      const auto make = [&](u64 seed, float most) { return rounded_to<T>(reals(count, seed, -most, most)); };
      const auto x = make(1, 4), x2 = make(2, 4), teacher = make(3, 4), gy = make(4, 1);
      for (const bool log : {false, true}) check_softmax<T>(card, {rows, classes, log}, x, gy);
      std::vector<i64> target;
      for (i64 i = 0; i < rows; ++i) target.push_back(i * 7 % classes);
      DeviceArray<T> dx(x), dx2(x2), dteacher(teacher), dgx(count), dgx2(count);
      DeviceArray<i64> dtarget(rows);
      offramp::cuda::copy(card.gpu()->stream(), dtarget.data(), target.data(), rows * 8);
      card.gpu()->synchronize();
      DeviceArray<float> dloss(1);
      const Doubles in = doubles(x), in2 = doubles(x2), t = doubles(teacher);
      // Twice: who is done first may not show.
      const auto check = [&](const Loss& want, auto&& run) {
        run();
        const float first = dloss.read()[0];
        EXPECT_NEAR(first, want.value, float_error(want.size) + rounding_bound(8, want.size));
        EXPECT_TRUE(meets<T>(dgx.floats(), gradient<T>(want)));
        run();
        EXPECT_EQ(dloss.read()[0], first);
      };
      check(cross_entropy_of(rows, classes, double(0.1f), in, target, 2), [&] {
        cross_entropy(card, CrossEntropyCallT<T>{.rows = rows,
                                                 .classes = classes,
                                                 .label_smoothing = 0.1f,
                                                 .x = dx.data(),
                                                 .target = dtarget.data(),
                                                 .loss = dloss.data(),
                                                 .upstream = 2,
                                                 .gx = dgx.data()});
      });
      check(kl_div_of(rows, classes, 2, in, t, 0.5), [&] {
        kl_div(card, KlDivCallT<T>{.rows = rows,
                                   .classes = classes,
                                   .temperature = 2,
                                   .x = dx.data(),
                                   .teacher = dteacher.data(),
                                   .loss = dloss.data(),
                                   .upstream = 0.5f,
                                   .gx = dgx.data()});
      });
      // Two exits: the first learns from labels and from the second, the second from labels.
      const double smoothing = double(0.05f);
      Loss first = cross_entropy_of(rows, classes, smoothing, in, target, double(0.4f));
      Loss taught = kl_div_of(rows, classes, 1.5, in, in2, double(0.6f));
      const Loss second = cross_entropy_of(rows, classes, smoothing, in2, target, 1);
      first.value *= double(0.4f), taught.value *= double(0.6f);
      Loss both = first + taught;
      both.between = first.gx;
      both.value += second.value, both.size += second.size;
      check(both, [&] {
        ExitLossCallT<T> call{.rows = rows,
                              .classes = classes,
                              .exits = 2,
                              .exit = {},
                              .target = dtarget.data(),
                              .label_smoothing = 0.05f,
                              .temperature = 1.5f,
                              .loss = dloss.data()};
        call.exit[0] = {dx.data(), dx2.data(), 0.4f, 0.6f, dgx.data()};
        call.exit[1] = {dx2.data(), nullptr, 1, 0, dgx2.data()};
        exit_loss(card, call);
      });
      EXPECT_TRUE(meets<T>(dgx2.floats(), gradient<T>(second)));
      EXPECT_TRUE(dgx.intact() && dgx2.intact() && dloss.intact());
    }
}

}  // namespace
}  // namespace offramp::kernels
