// Dense convolutions with a normalisation behind them on the card, with every tile, against sums in double:
// statistics taken from the tiles, gradients of the raw result formed while they are read.
#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_ref.h"
#include "tests/cuda/formed.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

// Every kernel and stride; channels that are read one and eight at a time on either side, of which eight in a
// row span three taps; more rows than the largest tile has, columns on both sides of 32, several steps of k;
// more taps than there is shared memory for parameters of each.
const std::vector<Conv2dDims> kCases = {
    {.n = 1, .h = 1, .w = 1, .c_in = 8, .c_out = 8, .kernel = 1},
    {.n = 3, .h = 7, .w = 7, .c_in = 24, .c_out = 72, .kernel = 1},
    {.n = 2, .h = 5, .w = 6, .c_in = 20, .c_out = 3, .kernel = 1},
    {.n = 2, .h = 7, .w = 6, .c_in = 8, .c_out = 20, .kernel = 1, .stride = 2},
    {.n = 2, .h = 9, .w = 8, .c_in = 3, .c_out = 8, .kernel = 3, .stride = 2, .pad = 1},
    {.n = 3, .h = 7, .w = 7, .c_in = 40, .c_out = 24, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 2, .h = 6, .w = 5, .c_in = 8, .c_out = 3, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 2, .h = 6, .w = 5, .c_in = 20, .c_out = 24, .kernel = 5, .stride = 2, .pad = 2},
    {.n = 1, .h = 6, .w = 7, .c_in = 3, .c_out = 20, .kernel = 5, .stride = 1, .pad = 2},
    {.n = 1, .h = 5, .w = 5, .c_in = 24, .c_out = 8, .kernel = 3, .stride = 2, .pad = 0},
    {.n = 1, .h = 4, .w = 4, .c_in = 8, .c_out = 63, .kernel = 3, .stride = 1, .pad = 1},
    {.n = 1, .h = 2, .w = 2, .c_in = 8, .c_out = 328, .kernel = 5, .stride = 1, .pad = 2},
};

struct Case {
  Conv2dDims dims;
  bool act, whole;
  int multiprocessors;

  Act kind() const { return !act ? Act::none : whole ? Act::relu : Act::hard_swish; }
  Extent out() const { return conv2d_out(dims); }
  i64 ins() const { return dims.n * dims.h * dims.w * dims.c_in; }
  i64 rows() const { return dims.n * out().h * out().w; }
  i64 outs() const { return rows() * dims.c_out; }
  i64 taps() const { return dims.kernel * dims.kernel; }
  // The weights are part of larger ones: four more input channels, a column of taps more.
  i64 all_weights() const { return dims.c_out * dims.kernel * (dims.kernel + 1) * (dims.c_in + 4); }
  template <class V>
  WeightViewT<V> view(const V* p) const {
    const i64 tap = dims.c_in + 4, row = (dims.kernel + 1) * tap;
    return {p, dims.kernel * row, row, tap};
  }
};
void PrintTo(const Case& c, std::ostream* out) {
  const Conv2dDims& d = c.dims;
  *out << d.c_in << "->" << d.c_out << " k" << d.kernel << " s" << d.stride
       << (c.whole ? " integers, " : " reals, ") << c.multiprocessors << " multiprocessors";
}

template <class F>
void for_each_case(F&& f) {
  for (const Conv2dDims& d : kCases)
    for (const bool whole : {false, true})
      for (const int multiprocessors : kMultiprocessors)
        for (const bool act : {false, true}) {
          const Case c{d, act, whole, multiprocessors};
          SCOPED_TRACE(::testing::PrintToString(c) + (act ? ", activation" : ""));
          const SupposedCard supposed(multiprocessors);
          f(c);
        }
}

std::vector<float> all_of(std::initializer_list<const DeviceArray<float>*> arrays) {
  std::vector<float> out;
  for (const DeviceArray<float>* a : arrays) {
    const auto values = a->floats();
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

template <class Mode>
struct CudaNormedConv2d : ::testing::Test {};
TYPED_TEST_SUITE(CudaNormedConv2d, Modes);

TYPED_TEST(CudaNormedConv2d, ForwardIsTheSumInDouble) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for_each_case([&](const Case& c) {
    if (c.act) return;  // is not part of it
    const Conv2dDims& d = c.dims;
    const Operands<T> of{c.whole};
    const auto x = of.tensor(c.ins(), 1), w = of.tensor(c.all_weights(), 2);
    const Norm<T> after(of, d.c_out, 20);
    const Wanted y = sums<TypeParam>(c.taps() * d.c_in, [&](const Map& f) {
      const Doubles fx = mapped(f, x), fw = mapped(f, w);
      Doubles out = room_for(c.outs());
      conv2d_ref(Conv2dCallT<double>{.dims = d,
                                     .out_h = c.out().h,
                                     .out_w = c.out().w,
                                     .x = fx.data(),
                                     .w = c.view(fw.data()),
                                     .y = out.data()});
      return out;
    });
    DeviceArray<T> dx(x), dy(c.outs());
    DeviceArray<float> dw(w), gamma(after.gamma), mean(d.c_out), var(d.c_out), scale(d.c_out),
        rmean(after.mean), rvar(after.var);
    const float weight = 0.25f;
    std::vector<float> first;
    for (int again = 0; again < 2; ++again) {
      cuda::normed_conv2d(
          card, NormedConv2dCallT<T>{.dims = d,
                                     .out_h = c.out().h,
                                     .out_w = c.out().w,
                                     .x = dx.data(),
                                     .w = c.view(static_cast<const float*>(dw.data())),
                                     .y = dy.data(),
                                     .out = {gamma.data(),
                                             kEps,
                                             mean.data(),
                                             var.data(),
                                             scale.data(),
                                             {again ? nullptr : rmean.data(), rvar.data(), weight}}});
      std::vector<float> now = dy.floats();
      const auto more = all_of({&mean, &var, &scale});
      now.insert(now.end(), more.begin(), more.end());
      if (again) {
        EXPECT_TRUE(same_bits(now, first));
      }
      first = now;
    }
    EXPECT_TRUE(matches<T>(dy.floats(), y, c.whole));
    check_statistics<T>({.rows = c.rows(), .c_in = d.c_in, .c_out = d.c_out}, y, c.whole, after.gamma,
                        mean.floats(), var.floats(), scale.floats());
    check_running(c.rows(), weight, after, mean.floats(), var.floats(), rmean.floats(), rvar.floats());
    EXPECT_TRUE(dy.intact() && mean.intact() && var.intact() && scale.intact() && rmean.intact() &&
                rvar.intact());
  });
}

// What the kernels form of g, the gradient behind the activation.
template <class T>
Doubles raw_gradient(const std::vector<float>& g, const std::vector<float>& y, const Norm<T>& norm,
                     const std::vector<float>& of_mean, const std::vector<float>& of_var, Act act) {
  Doubles out = doubles(g);
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t ch = i % norm.mean.size();
    const double d = double(y[i]) - double(norm.mean[ch]), scale = norm.scale[ch];
    const double dz = out[i] * act_slope(act, d * scale + double(norm.beta[ch]));
    out[i] = (scale * dz - double(of_mean[ch])) - d * double(of_var[ch]);
  }
  return out;
}

TYPED_TEST(CudaNormedConv2d, GradientsAreTheSumsInDouble) {
  OFFRAMP_NEEDS_CARD();
  using T = typename TypeParam::T;
  Exec card(offramp::cuda::Gpu::instance(), TypeParam::kMath);
  for_each_case([&](const Case& c) {
    const Conv2dDims& d = c.dims;
    const Operands<T> of{c.whole};
    const auto x = of.tensor(c.ins(), 1), w = of.tensor(c.all_weights(), 2), g = of.tensor(c.outs(), 5),
               y = of.tensor(c.outs(), 6);
    const auto of_mean = of.parameter(d.c_out, 8), of_var = of.parameter(d.c_out, 9);
    const Norm<T> norm(of, d.c_out, 20);
    const Doubles gy = raw_gradient(g, y, norm, of_mean, of_var, c.kind());
    const i64 weights = d.c_out * c.taps() * d.c_in;
    const auto gradient = [&](bool of_x, const Map& f) {
      const Doubles fx = mapped(f, x), fw = mapped(f, w), fgy = mapped(f, gy);
      Doubles out = room_for(of_x ? c.ins() : weights);
      conv2d_grad_ref(Conv2dGradCallT<double>{.dims = d,
                                              .out_h = c.out().h,
                                              .out_w = c.out().w,
                                              .x = fx.data(),
                                              .w = c.view(fw.data()),
                                              .gy = fgy.data(),
                                              .gx = of_x ? out.data() : nullptr,
                                              .gw = of_x ? nullptr : out.data()});
      return out;
    };
    const auto wanted = [&](bool of_x, i64 terms) {
      return from_formed(sums<TypeParam>(terms, [&](const Map& f) { return gradient(of_x, f); }), terms,
                         c.whole);
    };
    const Wanted gx = wanted(true, c.taps() * d.c_out), gw = wanted(false, c.rows());

    DeviceArray<T> dx(x), dg(g), dy(y), dgx(c.ins());
    DeviceArray<float> dw(w), mean(norm.mean), scale(norm.scale), beta(norm.beta), dom(of_mean), dov(of_var),
        dgw(weights);
    const auto call = [&](bool wants_gx, bool wants_gw) {
      cuda::normed_conv2d_grad(
          card, NormedConv2dGradCallT<T>{
                    .dims = d,
                    .out_h = c.out().h,
                    .out_w = c.out().w,
                    .x = dx.data(),
                    .gy = {{dg.data(), dy.data(), mean.data(), scale.data(), dom.data(), dov.data()},
                           beta.data(),
                           c.kind()},
                    .w = c.view(static_cast<const float*>(dw.data())),
                    .gw = wants_gw ? dgw.data() : nullptr,
                    .gx = wants_gx ? dgx.data() : nullptr});
    };
    call(true, true);
    const auto of_w = dgw.floats(), of_x = dgx.floats();
    EXPECT_TRUE(matches<float>(of_w, gw, c.whole));
    EXPECT_TRUE(matches<T>(of_x, gx, c.whole));
    // Each alone: the same bits.
    call(false, true);
    call(true, false);
    EXPECT_TRUE(same_bits(dgw.floats(), of_w) && same_bits(dgx.floats(), of_x));
    EXPECT_TRUE(dgw.intact() && dgx.intact());
  });
}

}  // namespace
}  // namespace offramp::kernels
