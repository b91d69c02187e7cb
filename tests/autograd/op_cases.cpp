#include "op_cases.h"

#include <algorithm>

#include "autograd/ops.h"
#include "tests/support/fill.h"

namespace offramp::testing {
namespace {

using Inputs = std::vector<Variable>;
using kernels::ResizeKind;

std::string text(const char* op, std::initializer_list<i64> numbers) {
  std::string out = op;
  for (i64 n : numbers) out += "_" + std::to_string(n);
  return out;
}

// Constants of a case, of the type of its inputs.
Tensor constant(const Tensor& like, const Shape& shape, u64 seed, float low, float high) {
  Tensor t = Tensor::empty(shape, DType::f64);
  fill_reals(t.values<double>(), seed, low, high);
  return t.to(like.dtype());
}

Tensor labels(i64 rows, i64 classes) {
  Tensor t = Tensor::empty({rows}, DType::i64);
  for (i64 i = 0; i < rows; ++i) t.data<i64>()[i] = (i * 7 + 3) % classes;
  return t;
}

void add_convolutions(std::vector<OpCase>& out) {
  struct Case {
    i64 n, h, w, c_in, c_out, kernel, stride, pad, groups;
    bool bias;
  };
  for (const Case& c : {Case{1, 1, 1, 1, 1, 1, 1, 0, 1, false}, Case{2, 5, 4, 3, 4, 3, 1, 1, 1, true},
                        Case{1, 7, 6, 2, 3, 5, 2, 2, 1, false}, Case{3, 3, 5, 5, 7, 1, 1, 0, 1, true},
                        Case{2, 5, 5, 3, 2, 1, 2, 0, 1, false}, Case{1, 6, 5, 4, 6, 3, 2, 1, 2, true},
                        Case{2, 6, 7, 3, 3, 3, 1, 1, 3, true}, Case{1, 9, 8, 5, 5, 5, 2, 2, 5, false},
                        Case{1, 3, 2, 2, 2, 7, 1, 3, 2, false}, Case{1, 4, 4, 2, 6, 3, 1, 1, 2, true}}) {
    std::vector<Shape> shapes{{c.n, c.h, c.w, c.c_in}, {c.c_out, c.kernel, c.kernel, c.c_in / c.groups}};
    if (c.bias) shapes.push_back({c.c_out});
    const ops::Conv2dOptions options{.stride = c.stride, .pad = c.pad, .groups = c.groups};
    out.push_back({text("conv2d", {c.n, c.h, c.w, c.c_in, c.c_out, c.kernel, c.stride, c.pad, c.groups}),
                   shapes, [options](Exec& exec, const Inputs& in) {
                     return ops::conv2d(exec, in[0], in[1], options, in.size() > 2 ? in[2] : Variable());
                   }});
  }
  // Weights and bias that are parts of larger parameters.
  out.push_back({"conv2d_of_a_part", {{2, 5, 6, 3}, {7, 5, 5, 5}, {7}}, [](Exec& exec, const Inputs& in) {
                   return ops::conv2d(exec, in[0], ops::prefix_view(in[1], {.out = 4, .in = 3, .kernel = 3}),
                                      {.pad = 1}, ops::prefix_view(in[2], {.out = 4}));
                 }});
  out.push_back({"depthwise_of_a_part", {{1, 5, 5, 3}, {6, 7, 7, 1}}, [](Exec& exec, const Inputs& in) {
                   return ops::conv2d(exec, in[0], ops::prefix_view(in[1], {.out = 3, .kernel = 5}),
                                      {.stride = 2, .pad = 2, .groups = 3});
                 }});
  out.push_back({"linear_of_a_part", {{3, 4}, {5, 7}}, [](Exec& exec, const Inputs& in) {
                   return ops::linear(exec, in[0], ops::prefix_view(in[1], {.out = 3, .in = 4}));
                 }});
  // The same part twice, and a part of a computed tensor.
  out.push_back({"parts_overlap", {{2, 3}, {5, 5}}, [](Exec& exec, const Inputs& in) {
                   const Variable doubled = ops::add(exec, in[1], in[1]);
                   const Variable part = ops::prefix_view(doubled, {.out = 4, .in = 4});
                   const Variable a = ops::linear(exec, in[0], ops::prefix_view(part, {.out = 3, .in = 3}));
                   const Variable b = ops::linear(exec, a, ops::prefix_view(in[1], {.out = 3, .in = 3}));
                   return ops::linear(exec, b, ops::prefix_view(doubled, {.out = 2, .in = 3}));
                 }});
  for (const auto& [n, k, m] : {std::array<i64, 3>{1, 1, 1}, {3, 5, 4}, {17, 9, 10}, {2, 33, 1}})
    for (const bool bias : {false, true}) {
      std::vector<Shape> shapes{{n, k}, {m, k}};
      if (bias) shapes.push_back({m});
      out.push_back(
          {text(bias ? "linear_bias" : "linear", {n, k, m}), shapes, [](Exec& exec, const Inputs& in) {
             return ops::linear(exec, in[0], in[1], in.size() > 2 ? in[2] : Variable());
           }});
    }
}

void add_norms(std::vector<OpCase>& out) {
  for (const i64 groups : {1, 2})
    out.push_back({text("conv_unit_train", {groups}),
                   {{2, 5, 4, 4}, {6, 3, 3, 4 / groups}, {6}, {6}},
                   [groups](Exec& exec, const Inputs& in) {
                     return ops::conv_unit_train(exec, in[0], {in[1], in[2], in[3], {}},
                                                 {.stride = 2, .pad = 1, .groups = groups},
                                                 {.eps = 1e-3, .act = Act::hard_swish});
                   }});
  for (const Act act : {Act::none, Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid, Act::sigmoid})
    for (const Shape& x : {Shape{4, 3}, Shape{2, 3, 4, 5}, Shape{3, 1, 1, 17}}) {
      const i64 c = x[-1];
      const std::string name = "_act" + std::to_string(int(act)) + "_c" + std::to_string(c);
      out.push_back({"batch_norm_train" + name, {x, {c}, {c}}, [act](Exec& exec, const Inputs& in) {
                       return ops::batch_norm_train(exec, in[0], in[1], in[2], {.eps = 1e-3, .act = act});
                     }});
      out.push_back({"batch_norm" + name, {x, {c}, {c}}, [act, c](Exec& exec, const Inputs& in) {
                       const Tensor& like = in[0].value();
                       return ops::batch_norm(exec, in[0], in[1], in[2], constant(like, {c}, 7, -0.5, 0.5),
                                              constant(like, {c}, 8, 0.5, 2), {.eps = 1e-3, .act = act});
                     }});
    }
}

void add_elementwise(std::vector<OpCase>& out) {
  for (const Act act : {Act::relu, Act::relu6, Act::hard_swish, Act::hard_sigmoid, Act::sigmoid})
    out.push_back({text("activation", {i64(act)}),
                   {{3, 5, 7}},
                   [act](Exec& exec, const Inputs& in) { return ops::activation(exec, in[0], act); },
                   -8,
                   8});
  // The gradient that arrives here is shared or accumulated: it must not be overwritten in place.
  out.push_back({"activation_of_shared",
                 {{2, 9}},
                 [](Exec& exec, const Inputs& in) {
                   const Variable a = ops::activation(exec, in[0], Act::hard_swish);
                   const Variable b = ops::activation(exec, in[0], Act::sigmoid);
                   return ops::add(exec, ops::add(exec, a, b), ops::add(exec, a, in[0]));
                 },
                 -4,
                 4});
  const std::vector<std::pair<Shape, Shape>> pairs{{{5}, {5}},
                                                   {{2, 3}, {2, 3}},
                                                   {{2, 3, 4, 5}, {2, 3, 4, 5}},
                                                   {{2, 3, 4, 5}, {2, 1, 1, 5}},
                                                   {{1, 1, 1, 19}, {1, 1, 1, 19}},
                                                   {{3, 5, 1, 1}, {3, 1, 1, 1}}};
  for (const auto& pair : pairs) {
    const std::string name = pair.first.str() + pair.second.str();
    out.push_back({"add" + name, {pair.first, pair.second}, [](Exec& exec, const Inputs& in) {
                     return ops::add(exec, in[0], in[1]);
                   }});
    out.push_back({"mul" + name, {pair.first, pair.second}, [](Exec& exec, const Inputs& in) {
                     return ops::mul(exec, in[0], in[1]);
                   }});
  }
  out.push_back(
      {"square", {{3, 4}}, [](Exec& exec, const Inputs& in) { return ops::mul(exec, in[0], in[0]); }});
  out.push_back({"flatten", {{2, 3, 1, 4}}, [](Exec& exec, const Inputs& in) {
                   return ops::activation(exec, ops::flatten(in[0]), Act::sigmoid);
                 }});
  out.push_back({"reshape", {{2, 6}, {3, 4}}, [](Exec& exec, const Inputs& in) {
                   return ops::mul(exec, ops::reshape(in[0], {3, 4}), in[1]);
                 }});
}

void add_maps(std::vector<OpCase>& out) {
  struct Case {
    i64 n, h, w, c, kernel, stride, pad;
  };
  for (const Case& c : {Case{2, 5, 7, 3, 2, 0, 0}, Case{1, 5, 5, 2, 3, 2, 1}, Case{1, 4, 3, 5, 3, 1, 1},
                        Case{2, 1, 1, 3, 1, 1, 0}, Case{1, 6, 7, 17, 3, 3, 0}}) {
    const ops::PoolOptions options{.kernel = c.kernel, .stride = c.stride, .pad = c.pad};
    const Shape x{c.n, c.h, c.w, c.c};
    out.push_back(
        {text("max_pool2d", {c.n, c.h, c.w, c.c, c.kernel, c.stride, c.pad}),
         {x},
         [options](Exec& exec, const Inputs& in) { return ops::max_pool2d(exec, in[0], options); }});
    out.push_back(
        {text("avg_pool2d", {c.n, c.h, c.w, c.c, c.kernel, c.stride, c.pad}),
         {x},
         [options](Exec& exec, const Inputs& in) { return ops::avg_pool2d(exec, in[0], options); }});
    out.push_back({text("global_avg_pool", {c.n, c.h, c.w, c.c}), {x}, [](Exec& exec, const Inputs& in) {
                     return ops::global_avg_pool(exec, in[0]);
                   }});
    for (const ResizeKind kind : {ResizeKind::bilinear, ResizeKind::bicubic})
      for (const auto& [h, w] : {std::array<i64, 2>{3, 2}, {8, 10}, {1, 5}})
        out.push_back({text("resize", {i64(kind), c.n, c.h, c.w, c.c, h, w}),
                       {x},
                       [kind, h = h, w = w](Exec& exec, const Inputs& in) {
                         return ops::resize(exec, in[0], h, w, kind);
                       }});
  }
}

void add_losses(std::vector<OpCase>& out) {
  for (const auto& [rows, classes] : {std::array<i64, 2>{1, 1}, {3, 5}, {7, 10}, {2, 33}}) {
    const Shape x{rows, classes};
    out.push_back({text("softmax", {rows, classes}),
                   {x},
                   [](Exec& exec, const Inputs& in) { return ops::softmax(exec, in[0]); },
                   -3,
                   3});
    out.push_back({text("log_softmax", {rows, classes}),
                   {x},
                   [](Exec& exec, const Inputs& in) { return ops::log_softmax(exec, in[0]); },
                   -3,
                   3});
    for (const double smoothing : {0.0, 0.1})
      out.push_back({text("cross_entropy", {rows, classes, i64(smoothing * 10)}),
                     {x},
                     [=, rows = rows, classes = classes](Exec& exec, const Inputs& in) {
                       return ops::cross_entropy(exec, in[0], labels(rows, classes), smoothing);
                     },
                     -3,
                     3});
    for (const double temperature : {1.0, 2.5})
      out.push_back({text("kl_div", {rows, classes, i64(temperature * 10)}),
                     {x},
                     [=](Exec& exec, const Inputs& in) {
                       const Tensor teacher = constant(in[0].value(), in[0].shape(), 9, -3, 3);
                       return ops::kl_div(exec, in[0], teacher, temperature);
                     },
                     -3,
                     3});
  }
  out.push_back({"loss_of", {{3, 4}, {3, 4}}, [](Exec& exec, const Inputs& in) {
                   const Tensor teacher = constant(in[0].value(), in[0].shape(), 9, -3, 3);
                   const std::vector<ops::LossTerm> terms{
                       {.logits = in[0], .of_labels = 0.25},
                       {.logits = in[1], .of_labels = -1.5},
                       {.logits = in[0], .of_labels = 2, .of_teacher = 0.5, .teacher = teacher}};
                   return ops::loss_of(exec, terms, labels(3, 4),
                                       {.label_smoothing = 0.2, .temperature = 1.5});
                 }});
}

}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = [] {
    std::vector<OpCase> out;
    add_convolutions(out);
    add_norms(out);
    add_elementwise(out);
    add_maps(out);
    add_losses(out);
    return out;
  }();
  return cases;
}

std::vector<Tensor> inputs_of(const OpCase& op, u64 seed) {
  std::vector<Tensor> out;
  for (const Shape& shape : op.inputs) {
    out.push_back(Tensor::empty(shape, DType::f64));
    fill_reals(out.back().values<double>(), seed + out.size(), op.low, op.high);
  }
  return out;
}

}  // namespace offramp::testing
