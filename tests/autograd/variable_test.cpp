// The graph itself: accumulation, ownership of gradients, lifetime, views.
#include "autograd/variable.h"

#include <gtest/gtest.h>

#include <vector>

#include "autograd/ops.h"
#include "kernels/error.h"
#include "tests/support/compare.h"

namespace offramp {
namespace {

Tensor vector_of(std::vector<float> values) {
  return Tensor::from(std::span<const float>(values), {i64(values.size())});
}

std::vector<float> list(const Tensor& t) {
  const Tensor dense = t.contiguous();
  const auto v = dense.values<float>();
  return {v.begin(), v.end()};
}

using Floats = std::vector<float>;

TEST(Variable, WithoutGradientsNothingIsKept) {
  Exec exec(Target::portable);
  const Variable x(vector_of({1, 2}));
  const Variable y = ops::mul(exec, x, x);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_THROW(backward(exec, y, vector_of({1, 1})), Error);
  const Variable w(vector_of({1, 2}), true);
  EXPECT_TRUE(ops::mul(exec, w, x).requires_grad());
  EXPECT_FALSE(ops::mul(exec, w.detach(), x).requires_grad());
  EXPECT_TRUE(w.detach().value().shares_storage(w.value()));
}

TEST(Variable, BackwardAddsUntilZeroed) {
  Exec exec(Target::portable);
  const Variable x(vector_of({1, -2, 3}), true);
  EXPECT_FALSE(x.grad().defined());
  for (int pass = 1; pass <= 3; ++pass) {
    backward(exec, ops::mul(exec, x, x), vector_of({1, 1, 2}));
    const float p = float(pass);
    EXPECT_EQ(list(x.grad()), (Floats{2 * p, -4 * p, 12 * p}));
  }
  Variable(x).zero_grad();
  EXPECT_FALSE(x.grad().defined());
}

TEST(Variable, GradientsOfLeavesShareNothing) {
  Exec exec(Target::portable);
  const Variable a(vector_of({1, 2}), true), b(vector_of({3, 4}), true);
  const Tensor upstream = vector_of({5, 6});
  backward(exec, ops::add(exec, a, b), upstream);
  EXPECT_FALSE(a.grad().shares_storage(b.grad()));
  EXPECT_FALSE(a.grad().shares_storage(upstream));
  backward(exec, a, upstream);  // a leaf is its own loss
  EXPECT_EQ(list(a.grad()), (Floats{10, 12}));
  EXPECT_EQ(list(b.grad()), (Floats{5, 6}));
  EXPECT_EQ(list(upstream), (Floats{5, 6}));
}

TEST(Variable, ADiamondOfSharedGradients) {
  Exec exec(Target::portable);
  const Variable x(vector_of({1, 2}), true);
  const Variable y = ops::add(exec, x, x);
  const Variable z = ops::add(exec, ops::add(exec, y, x), ops::add(exec, y, y));  // 3 y + x = 7 x
  const Tensor upstream = vector_of({1, 10});
  backward(exec, z, upstream);
  EXPECT_EQ(list(x.grad()), (Floats{7, 70}));
  EXPECT_EQ(list(upstream), (Floats{1, 10}));
}

TEST(Variable, AGraphServesOneBackward) {
  Exec exec(Target::portable);
  const Variable x(vector_of({2}), true);
  const Variable y = ops::mul(exec, x, x);
  const Variable z = ops::reshape(y, {});
  backward(exec, z);
  EXPECT_EQ(list(x.grad()), Floats{4});
  EXPECT_THROW(backward(exec, z), Error);
  // Through another consumer the freed part is noticed too, and what was begun leaves no trace in results.
  EXPECT_THROW(backward(exec, ops::mul(exec, y, x), vector_of({1})), Error);
}

TEST(Variable, ALongChainNeedsNoStack) {
  Exec exec(Target::portable);
  const Variable x(vector_of({1, 1}), true);
  constexpr int kLength = 200000;
  Variable y = ops::reshape(x, {2});
  for (int i = 0; i < kLength; ++i) y = ops::reshape(y, {2});
  backward(exec, y, vector_of({3, 4}));
  EXPECT_EQ(list(x.grad()), (Floats{3, 4}));
  for (int i = 0; i < kLength; ++i) y = ops::reshape(i ? y : x, {2});
  y = Variable();  // and freed without a backward
}

TEST(Variable, LossOfManyElementsWantsAnUpstream) {
  Exec exec(Target::portable);
  const Variable x(vector_of({1, 2}), true);
  EXPECT_THROW(backward(exec, ops::mul(exec, x, x)), Error);
  EXPECT_THROW(backward(exec, ops::mul(exec, x, x), vector_of({1})), Error);
}

TEST(PrefixView, IsAViewAndAddsIntoItsRegion) {
  Exec exec(Target::portable);
  std::vector<float> numbers(20);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = float(i);
  const Variable w(Tensor::from(std::span<const float>(numbers), {4, 5}), true);
  const Variable part = ops::prefix_view(w, {.out = 2, .in = 3});
  EXPECT_TRUE(part.value().shares_storage(w.value()));
  EXPECT_EQ(list(part.value()), (Floats{0, 1, 2, 5, 6, 7}));
  const Variable x(Tensor::full({1, 3}, 1));
  // Two forward and backward passes through one kept view.
  for (int pass = 1; pass <= 2; ++pass) {
    backward(exec, ops::linear(exec, x, part), Tensor::full({1, 2}, 1));
    const float p = float(pass);
    EXPECT_EQ(list(w.grad()), (Floats{p, p, p, 0, 0, p, p, p, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  }
  // An overlapping part adds to the same gradient.
  backward(exec, ops::linear(exec, x, ops::prefix_view(ops::prefix_view(w, {.out = 3}), {.out = 1, .in = 3})),
           Tensor::full({1, 1}, 10));
  EXPECT_EQ(list(w.grad().slice(0, 0, 2)), (Floats{12, 12, 12, 0, 0, 2, 2, 2, 0, 0}));
}

TEST(PrefixView, CropsTheCentreOfAKernel) {
  Tensor t = Tensor::empty({2, 5, 5, 3});
  auto v = t.values<float>();
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(i);
  const Variable part = ops::prefix_view(Variable(t, true), {.out = 1, .in = 2, .kernel = 3});
  EXPECT_EQ(part.shape(), (Shape{1, 3, 3, 2}));
  Floats want;
  for (int row = 1; row <= 3; ++row)
    for (int col = 1; col <= 3; ++col)
      for (int c = 0; c < 2; ++c) want.push_back(float((row * 5 + col) * 3 + c));
  EXPECT_EQ(list(part.value()), want);
}

TEST(PrefixView, OfEverythingIsTheParameterItself) {
  const Variable w(Tensor::zeros({4, 3, 3, 2}), true);
  EXPECT_TRUE(ops::prefix_view(w, {.out = 4, .in = 2, .kernel = 3}).same_as(w));
  EXPECT_TRUE(ops::prefix_view(w, {}).same_as(w));
}

// Every refusal names the operation, what was wanted and what was got.
template <class F>
void expect_refusal(F&& f, std::initializer_list<const char*> words) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::input);
    for (const char* word : words) EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
}

TEST(Validation, NamesOperationWantedAndGot) {
  Exec exec(Target::portable);
  const auto t = [](Shape shape) { return Variable(Tensor::zeros(std::move(shape)), true); };
  expect_refusal(
      [&] {
        ops::conv2d(exec, t({1, 4, 4, 3}), t({2, 3, 3, 4}), {});
      },
      {"conv2d", "3 input", "[2,3,3,4]"});
  expect_refusal(
      [&] {
        ops::conv2d(exec, t({1, 4, 4, 3}), t({2, 5, 5, 3}), {});
      },
      {"conv2d", "fits", "[2,5,5,3]"});
  expect_refusal(
      [&] {
        ops::conv2d(exec, t({1, 4, 4, 4}), t({3, 1, 1, 2}), {.groups = 2});
      },
      {"conv2d", "groups"});
  expect_refusal([&] { ops::conv2d(exec, t({0, 4, 4, 3}), t({2, 1, 1, 3}), {}); }, {"conv2d", "[0,4,4,3]"});
  expect_refusal(
      [&] {
        ops::conv2d(exec, t({1, 4, 4, 3}), t({2, 1, 1, 3}), {.stride = 0});
      },
      {"conv2d", "stride"});
  expect_refusal(
      [&] {
        ops::conv2d(exec, t({1, 4, 4, 3}), t({2, 1, 1, 3}), {}, t({3}));
      },
      {"conv2d", "[2]", "[3]"});
  expect_refusal([&] { ops::linear(exec, t({2, 4}), t({3, 5})); }, {"linear", "[out,4]", "[3,5]"});
  expect_refusal([&] { ops::linear(exec, t({2, 1, 1, 4}), t({3, 4})); }, {"linear", "rank 2"});
  expect_refusal(
      [&] {
        ops::batch_norm_train(exec, t({2, 4}), t({4}), t({3}));
      },
      {"batch_norm", "[4]", "[3]"});
  expect_refusal([&] { ops::add(exec, t({2, 4}), t({4})); }, {"add", "[2,4]", "[4]"});
  expect_refusal([&] { ops::mul(exec, t({2, 3, 3, 4}), t({1, 1, 1, 4})); }, {"mul", "[1,1,1,4]"});
  expect_refusal([&] { ops::max_pool2d(exec, t({1, 2, 2, 1}), {.kernel = 3}); }, {"max_pool2d", "kernel"});
  expect_refusal(
      [&] {
        ops::avg_pool2d(exec, t({1, 4, 4, 1}), {.kernel = 3, .pad = 2});
      },
      {"avg_pool2d", "pad"});
  expect_refusal(
      [&] {
        ops::resize(exec, t({1, 4, 4, 1}), 0, 3, kernels::ResizeKind::bilinear);
      },
      {"resize", "0x3"});
  expect_refusal([&] { ops::reshape(t({4}), {3}); }, {"reshape", "4", "[3]"});
  expect_refusal([&] { ops::prefix_view(t({4, 5}), {.out = 5}); }, {"prefix_view", "at most 4", "5"});
  expect_refusal([&] { ops::prefix_view(t({4, 5, 5, 2}), {.kernel = 4}); }, {"prefix_view", "5", "4"});
  expect_refusal([&] { ops::kl_div(exec, t({2, 3}), Tensor::zeros({2, 4})); }, {"kl_div", "[2,3]", "[2,4]"});
  Tensor labels = Tensor::zeros({2}, DType::i64);
  labels.data<i64>()[1] = 3;
  expect_refusal(
      [&] {
        ops::cross_entropy(exec, t({2, 3}), labels);
      },
      {"cross_entropy", "0..2", "3 for sample 1"});
  expect_refusal([&] { ops::add(exec, t({2}), Variable(Tensor::zeros({2}, DType::f64))); },
                 {"add", "f32", "f64"});
}

TEST(Validation, TensorsWithoutMemoryNeedADryRecorder) {
  Exec exec(Target::portable);
  const Variable x(Tensor::empty({2, 4}, DType::f32, Device::meta));
  EXPECT_THROW(ops::softmax(exec, x), Error);
}

}  // namespace
}  // namespace offramp
