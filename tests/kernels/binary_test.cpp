#include "kernels/binary/binary.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/binary/binary_ref.h"
#include "kernels/recorder.h"
#include "tests/support/bits.h"
#include "tests/support/central_difference.h"
#include "tests/support/compare.h"
#include "tests/support/counting.h"
#include "tests/support/fill.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/targets.h"

namespace offramp::kernels {
namespace {

using namespace offramp::testing;

std::vector<BinaryDims> shapes() {
  std::vector<BinaryDims> out;
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true}) {
      for (i64 c = 1; c <= 35; ++c) out.push_back({2, 5, c, kind, broadcast});
      for (const i64 hw : {1, 2, 3, 4, 8, 49}) out.push_back({3, hw, 17, kind, broadcast});
    }
  return out;
}

std::string text(const BinaryDims& d) {
  return std::string(d.kind == BinaryKind::mul ? "mul" : "add") + (d.broadcast ? " broadcast " : " ") +
         std::to_string(d.n) + "x" + std::to_string(d.hw) + "x" + std::to_string(d.c);
}

i64 forward_units(const BinaryDims& d) { return d.broadcast ? d.n * d.hw : binary_count(d); }
i64 grad_units(const BinaryDims& d) { return d.broadcast ? d.n : binary_count(d); }

struct Data {
  std::vector<float> x, z, gy;
  explicit Data(const BinaryDims& d, bool integers = false)
      : x(size_t(binary_count(d))), z(size_t(binary_z_count(d))), gy(x.size()) {
    if (integers) {
      fill_integers(std::span(x), 1, 9), fill_integers(std::span(z), 2, 9), fill_integers(std::span(gy), 3, 9);
    } else {
      fill_reals(std::span(x), 1), fill_reals(std::span(z), 2), fill_reals(std::span(gy), 3);
    }
  }
};

std::vector<double> wide(const std::vector<float>& v) { return {v.begin(), v.end()}; }

TEST(Binary, EveryRowIsExactOnIntegers) {
  for (const auto& row : binary_table()) {
    if (!cpu_supports(row.target)) continue;
    for (const BinaryDims& d : shapes()) {
      SCOPED_TRACE(std::string(row.name) + " " + text(d));
      const Data data(d, true);
      GuardedBuffer<float> y(binary_count(d), d.c % 3);
      row.run({d, data.x.data(), data.z.data(), y.data()}, 0, forward_units(d));
      const auto x = wide(data.x), z = wide(data.z);
      std::vector<double> want(x.size());
      binary_reference(BinaryCallT<double>{d, x.data(), z.data(), want.data()});
      EXPECT_TRUE((all_equal<float, double>(y.values(), want)));
      EXPECT_TRUE(y.intact());
    }
  }
}

TEST(BinaryGrad, EveryRowIsExactOnIntegers) {
  for (const auto& row : binary_grad_table()) {
    if (!cpu_supports(row.target)) continue;
    for (const BinaryDims& d : shapes())
      for (const int wanted : {1, 2, 3}) {
        SCOPED_TRACE(std::string(row.name) + " " + text(d) + " wanted " + std::to_string(wanted));
        const Data data(d, true);
        GuardedBuffer<float> gx(binary_count(d), d.c % 3), gz(binary_z_count(d), d.c % 2);
        row.run({d, data.x.data(), data.z.data(), data.gy.data(), wanted & 1 ? gx.data() : nullptr,
                 wanted & 2 ? gz.data() : nullptr},
                0, grad_units(d));
        const auto x = wide(data.x), z = wide(data.z), gy = wide(data.gy);
        std::vector<double> want_gx(x.size()), want_gz(z.size());
        binary_grad_reference(
            BinaryGradCallT<double>{d, x.data(), z.data(), gy.data(), want_gx.data(), want_gz.data()});
        if (wanted & 1) {
          EXPECT_TRUE((all_equal<float, double>(gx.values(), want_gx)));
        }
        if (wanted & 2) {
          EXPECT_TRUE((all_equal<float, double>(gz.values(), want_gz)));
        }
        EXPECT_TRUE(gx.intact());
        EXPECT_TRUE(gz.intact());
      }
  }
}

TEST(BinaryGrad, SumsOverPixelsAreCloseOnReals) {
  for (const Target target : runnable_targets())
    for (const float low : {-1.0f, 0.0f}) {
      const BinaryDims d{3, 1000, 19, BinaryKind::mul, true};
      Data data(d);
      fill_reals(std::span(data.gy), 4, low, 1), fill_reals(std::span(data.x), 5, low, 1);
      Exec exec(target);
      std::vector<float> gz(data.z.size());
      binary_grad(exec, BinaryGradCall{d, data.x.data(), data.z.data(), data.gy.data(), nullptr, gz.data()});
      std::vector<double> want(gz.size()), sum_abs(gz.size());
      for (i64 i = 0; i < binary_count(d); ++i) {
        const size_t to = size_t(i / (1000 * 19) * 19 + i % 19);
        const double product = double(data.x[size_t(i)]) * data.gy[size_t(i)];
        want[to] += product, sum_abs[to] += std::fabs(product);
      }
      const auto bound = [&](i64 i) { return rounding_bound(1000, sum_abs[size_t(i)]); };
      EXPECT_TRUE((all_close<float, double>(gz, want, bound)));
    }
}

TEST(Binary, DoorsAgreeAcrossThreadsTargetsAndInPlace) {
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true}) {
      const BinaryDims d{7, 300, 33, kind, broadcast};
      SCOPED_TRACE(text(d));
      const Data data(d);
      std::vector<float> y0(data.x.size()), gx0(data.x.size()), gz0;
      Exec apart(Target::portable);
      binary(apart, BinaryCall{d, data.x.data(), data.z.data(), y0.data()});
      binary_grad(apart, BinaryGradCall{d, data.x.data(), data.z.data(), data.gy.data(), gx0.data(), nullptr});
      for (const Target target : runnable_targets())
        for (const int threads : {1, 2}) {
          Exec exec(target, threads);
          auto y = data.x, gx = data.gy;  // in place
          std::vector<float> gz(data.z.size());
          binary(exec, BinaryCall{d, y.data(), data.z.data(), y.data()});
          binary_grad(exec,
                      BinaryGradCall{d, data.x.data(), data.z.data(), gx.data(), gx.data(), gz.data()});
          if (gz0.empty()) gz0 = gz;
          EXPECT_TRUE(same_bits<float>(y, y0));
          EXPECT_TRUE(same_bits<float>(gx, gx0));
          EXPECT_TRUE(same_bits<float>(gz, gz0));
        }
    }
}

TEST(BinaryGrad, ReferenceMatchesCentralDifferences) {
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true}) {
      const BinaryDims d{2, 3, 2, kind, broadcast};
      std::vector<double> x(size_t(binary_count(d))), z(size_t(binary_z_count(d)));
      std::vector<double> gy(x.size()), gx(x.size()), gz(z.size()), y(x.size());
      fill_reals(std::span(x), 1), fill_reals(std::span(z), 2), fill_reals(std::span(gy), 3);
      binary_grad_reference(
          BinaryGradCallT<double>{d, x.data(), z.data(), gy.data(), gx.data(), gz.data()});
      const auto loss = [&] {
        binary_reference(BinaryCallT<double>{d, x.data(), z.data(), y.data()});
        return weighted_sum(y, gy);
      };
      EXPECT_TRUE(gradient_matches(x, gx, loss));
      EXPECT_TRUE(gradient_matches(z, gz, loss));
    }
}

TEST(Binary, DeclaredOperationsAreThoseOfTheReference) {
  for (const BinaryKind kind : {BinaryKind::add, BinaryKind::mul})
    for (const bool broadcast : {false, true}) {
      const BinaryDims d{2, 3, 5, kind, broadcast};
      std::vector<Counting> x(30, Counting(1)), z(30, Counting(2)), gy(30, Counting(3)), gx(30), gz(30);
      Counting::reset();
      binary_reference(BinaryCallT<Counting>{d, x.data(), z.data(), gx.data()});
      EXPECT_EQ(Counting::total(), binary_cost(d).other_ops);
      Counting::reset();
      binary_grad_reference(
          BinaryGradCallT<Counting>{d, x.data(), z.data(), gy.data(), gx.data(), gz.data()});
      EXPECT_EQ(Counting::total(), binary_grad_cost(d).other_ops);
    }
}

TEST(Binary, DryDoorsOnlyNote) {
  Exec exec(Target::portable);
  Recorder recorder{.dry = true, .calls = {}};
  exec.recorder = &recorder;
  const auto* nowhere = reinterpret_cast<const float*>(64);
  auto* nowhere_out = reinterpret_cast<float*>(128);
  const BinaryDims d{1, 4, 8, BinaryKind::mul, true};
  binary(exec, BinaryCall{d, nowhere, nowhere, nowhere_out});
  binary_grad(exec, BinaryGradCall{d, nowhere, nowhere, nowhere, nowhere_out, nowhere_out});
  ASSERT_EQ(recorder.calls.size(), 2u);
  EXPECT_EQ(recorder.calls[0].kernel, "binary/any/portable");
  EXPECT_EQ(std::get<BinaryCall>(recorder.calls[0].call).dims, d);
  EXPECT_EQ(recorder.calls[1].cost, binary_grad_cost(d));
}

}  // namespace
}  // namespace offramp::kernels
