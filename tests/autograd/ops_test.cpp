// Gradients of every operation in double, and the float path of every target against the double path.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/gradcheck.h"
#include "kernels/recorder.h"
#include "op_cases.h"
#include "tests/support/fill.h"
#include "tests/support/targets.h"

namespace offramp {
namespace {

using testing::inputs_of;
using testing::op_cases;
using testing::OpCase;

TEST(Ops, GradientsAgreeWithCentralDifferences) {
  Exec exec(Target::portable);
  for (const OpCase& op : op_cases())
    for (const u64 seed : {1, 2}) {
      const GradcheckResult r = gradcheck(exec, op.run, inputs_of(op, seed * 100), {.seed = seed});
      EXPECT_TRUE(r.ok) << op.name << ", seed " << seed << ": " << r.message;
    }
}

// Value and gradients of one run.
std::vector<Tensor> run(Exec& exec, const OpCase& op, DType dtype) {
  std::vector<Variable> leaves;
  for (const Tensor& t : inputs_of(op, 300)) leaves.emplace_back(t.to(dtype), true);
  const Variable y = op.run(exec, leaves);
  std::vector<Tensor> out{y.value()};
  Tensor upstream = Tensor::empty(y.shape(), DType::f64);
  testing::fill_reals(upstream.values<double>(), 5);
  backward(exec, y, upstream.to(dtype));
  for (const Variable& leaf : leaves) out.push_back(leaf.grad());
  return out;
}

double largest(std::span<const double> v) {
  double m = 0;
  for (double x : v) m = std::max(m, std::fabs(x));
  return m;
}

TEST(Ops, FloatAgreesWithDouble) {
  for (const Target target : testing::runnable_targets()) {
    Exec exec(target);
    for (const OpCase& op : op_cases()) {
      const std::vector<Tensor> want = run(exec, op, DType::f64), got = run(exec, op, DType::f32);
      ASSERT_EQ(got.size(), want.size());
      for (size_t k = 0; k < got.size(); ++k) {
        ASSERT_TRUE(got[k].defined()) << op.name;
        const Tensor wide = got[k].to(DType::f64);
        const auto g = wide.values<double>(), w = want[k].values<double>();
        ASSERT_EQ(g.size(), w.size());
        // A sum of at most some hundred products: relative to the largest element, a few dozen roundings.
        const double limit = 3e-6 * std::max(1.0, largest(w));
        for (size_t i = 0; i < g.size(); ++i)
          ASSERT_LE(std::fabs(g[i] - w[i]), limit)
              << op.name << " on " << target_name(target) << ", result " << k << " element " << i;
      }
    }
  }
}

// With a dry recorder and tensors without memory: the same calls as a real run, and nothing is touched.
TEST(Ops, MetaTensorsRecordTheSameForwardCalls) {
  for (const OpCase& op : op_cases()) {
    if (op.name.rfind("batch_norm_act", 0) == 0 || op.name.rfind("kl_div", 0) == 0)
      continue;  // constants inside
    Exec real(Target::portable), dry(Target::portable);
    Recorder ran, noted;
    noted.dry = true;
    real.recorder = &ran;
    dry.recorder = &noted;
    std::vector<Variable> with, without;
    for (const Tensor& t : inputs_of(op, 300)) {
      with.emplace_back(t.to(DType::f32), true);
      without.emplace_back(Tensor::empty(t.shape(), DType::f32, Device::meta), true);
    }
    const Variable a = op.run(real, with), b = op.run(dry, without);
    EXPECT_EQ(a.shape(), b.shape()) << op.name;
    EXPECT_EQ(b.value().device(), Device::meta) << op.name;
    backward(real, a, a.value().clone());
    backward(dry, b, Tensor::empty(b.shape(), DType::f32, Device::meta));
    ASSERT_EQ(ran.calls.size(), noted.calls.size()) << op.name;
    for (size_t i = 0; i < ran.calls.size(); ++i) {
      EXPECT_EQ(ran.calls[i].kernel, noted.calls[i].kernel) << op.name;
      EXPECT_EQ(ran.calls[i].cost, noted.calls[i].cost) << op.name;
      EXPECT_EQ(ran.calls[i].call.index(), noted.calls[i].call.index()) << op.name;
    }
    for (const Variable& leaf : without) {
      ASSERT_TRUE(leaf.grad().defined()) << op.name;
      EXPECT_EQ(leaf.grad().device(), Device::meta) << op.name;
    }
  }
}

}  // namespace
}  // namespace offramp
