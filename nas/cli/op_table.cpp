#include "nas/cli/op_table.h"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <string>

#include "autograd/ops.h"
#include "kernels/error.h"

namespace offramp::cli {
namespace {

constexpr double kRequired = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargest = 1 << 20;  // of a size given as an attribute
constexpr double kTiny = std::numeric_limits<float>::min();

const Tensor& require_image(const Variable& x, const std::string& op) {
  if (x.value().rank() != 4) throw input_error(op + ": x must be [n,h,w,c], got " + x.shape().str());
  return x.value();
}

// A size that comes from an attribute must not make the machine swap or the result overflow.
void require_room(const std::string& op, std::initializer_list<i64> extents, DType dtype) {
  const double memory = double(sysconf(_SC_PHYS_PAGES)) * double(sysconf(_SC_PAGE_SIZE));
  double bytes = double(dtype_size(dtype));
  for (i64 e : extents) bytes *= double(e);
  if (bytes > memory / 4)
    throw input_error(op + ": the result would take " + std::to_string(i64(bytes / 1e9)) +
                      " GB; ask for a smaller output");
}

OperatorOutput conv2d(Exec& exec, const OperatorArguments& a) {
  if (const i64 d = a.whole("dilation"); d != 1)
    throw usage_error("conv2d: dilation=" + std::to_string(d) + " is not supported, only 1");
  const Tensor& x = require_image(a.in("x"), "conv2d");
  const Tensor& w = a.in("w").value();
  const i64 pad = a.whole("pad");
  if (w.rank() != 4) throw input_error("conv2d: w must be [out,row,col,in/groups], got " + w.shape().str());
  // Beyond that whole output rows see nothing but padding; the limit keeps memory and time in proportion.
  if (const i64 limit = w.extent(1) + std::max(x.extent(1), x.extent(2)); pad > limit)
    throw usage_error("conv2d: pad=" + std::to_string(pad) + " is larger than kernel and image together (" +
                      std::to_string(limit) + ")");
  require_room("conv2d", {x.extent(0), x.extent(1) + 2 * pad, x.extent(2) + 2 * pad, w.extent(0)}, x.dtype());
  return {ops::conv2d(exec, a.in("x"), a.in("w"),
                      {.stride = a.whole("stride"), .pad = pad, .groups = a.whole("groups")}, a.in("b")),
          {}};
}

template <class F>
auto pool(const std::string& name, F f) {
  return [=](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
    const Tensor& x = require_image(a.in("x"), name);
    const i64 kernel = a.whole("kernel"), stride = a.whole("stride"), pad = a.whole("pad");
    if (2 * pad > kernel)
      throw usage_error(name + ": pad=" + std::to_string(pad) +
                        " is more than half of kernel=" + std::to_string(kernel));
    if (kernel > 2 * std::max(x.extent(1), x.extent(2)) + 1)
      throw usage_error(name + ": kernel=" + std::to_string(kernel) + " is more than twice the image " +
                        x.shape().str());
    return {f(exec, a.in("x"), {.kernel = kernel, .stride = stride ? stride : kernel, .pad = pad}), {}};
  };
}

OperatorOutput batch_norm(Exec& exec, const OperatorArguments& a) {
  const Tensor& x = a.in("x").value();
  if (x.rank() < 2)
    throw input_error("batch_norm: x must be [...,c] of rank 2 or more, got " + x.shape().str());
  for (const char* name : {"gamma", "beta", "mean", "var"})
    if (const Shape& s = a.in(name).shape(); s != Shape{x.extent(-1)})
      throw input_error(std::string("batch_norm: ") + name + " must be " + Shape{x.extent(-1)}.str() +
                        " for x " + x.shape().str() + ", got " + s.str());
  const ops::BatchNormOptions options{.eps = a.real("eps")};
  if (!a.whole("training"))
    return {ops::batch_norm(exec, a.in("x"), a.in("gamma"), a.in("beta"), a.in("mean").value(),
                            a.in("var").value(), options),
            {}};
  if (x.count() == x.extent(-1))
    throw input_error("batch_norm: training needs more than one value per channel, got x " + x.shape().str());
  Tensor mean = a.in("mean").value().clone(), var = a.in("var").value().clone();
  Variable y = ops::batch_norm_train(exec, a.in("x"), a.in("gamma"), a.in("beta"), options,
                                     {mean, var, a.real("momentum")});
  return {y, {{"mean", mean}, {"var", var}}};
}

auto activation(Act act) {
  return [act](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
    return {ops::activation(exec, a.in("x"), act), {}};
  };
}

auto resize(const std::string& name, kernels::ResizeKind kind) {
  return [=](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
    const Tensor& x = require_image(a.in("x"), name);
    const i64 out_h = a.whole("out_h"), out_w = a.whole("out_w");
    require_room(name, {x.extent(0), out_h, out_w, x.extent(3)}, x.dtype());
    return {ops::resize(exec, a.in("x"), out_h, out_w, kind), {}};
  };
}

void require_rank(const Variable& x, i64 rank, const std::string& what) {
  if (x.value().rank() != rank) throw input_error(what + ", got " + x.shape().str());
}

std::vector<Operator> make_operators() {
  const std::vector<OperatorInput> x{{"x"}}, pair{{"x"}, {"z"}};
  const std::vector<OperatorAttribute> window{
      {"kernel", 1, kLargest, kRequired}, {"stride", 1, kLargest, 0}, {"pad", 0, kLargest, 0}};
  const std::vector<OperatorAttribute> size{{"out_h", 1, kLargest, kRequired},
                                            {"out_w", 1, kLargest, kRequired}};
  return {
      {"conv2d",
       {{"x"}, {"w"}, {.name = "b", .optional = true}},
       {{"stride", 1, kLargest, 1},
        {"pad", 0, kLargest, 0},
        {"groups", 1, kLargest, 1},
        {"dilation", 1, kLargest, 1}},
       conv2d},
      {"max_pool2d", x, window, pool("max_pool2d", ops::max_pool2d)},
      {"avg_pool2d", x, window, pool("avg_pool2d", ops::avg_pool2d)},
      {"global_avg_pool",
       x,
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         require_image(a.in("x"), "global_avg_pool");
         return {ops::global_avg_pool(exec, a.in("x")), {}};
       }},
      {"linear",
       {{"x"}, {"w"}, {.name = "b", .optional = true}},
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         require_rank(a.in("x"), 2, "linear: x must be [n,in]");
         require_rank(a.in("w"), 2, "linear: w must be [out,in]");
         return {ops::linear(exec, a.in("x"), a.in("w"), a.in("b")), {}};
       }},
      {"batch_norm",
       {{"x"},
        {"gamma"},
        {"beta"},
        {.name = "mean", .differentiable = false},
        {.name = "var", .differentiable = false}},
       {{"eps", 0, 1e6, 1e-5, false}, {"training", 0, 1, 0}, {"momentum", 0, 1, 0.1, false}},
       batch_norm},
      {"relu", x, {}, activation(Act::relu)},
      {"relu6", x, {}, activation(Act::relu6)},
      {"hard_swish", x, {}, activation(Act::hard_swish)},
      {"hard_sigmoid", x, {}, activation(Act::hard_sigmoid)},
      {"sigmoid", x, {}, activation(Act::sigmoid)},
      {"add",
       pair,
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         return {ops::add(exec, a.in("x"), a.in("z")), {}};
       }},
      {"mul",
       pair,
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         return {ops::mul(exec, a.in("x"), a.in("z")), {}};
       }},
      {"softmax",
       x,
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         return {ops::softmax(exec, a.in("x")), {}};
       }},
      {"log_softmax",
       x,
       {},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         return {ops::log_softmax(exec, a.in("x")), {}};
       }},
      {"cross_entropy",
       {{"x"}, {.name = "t", .differentiable = false, .integers = true}},
       {{"label_smoothing", 0, 0.999999, 0, false}},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         require_rank(a.in("x"), 2, "cross_entropy: x must be [n,classes]");
         require_rank(a.in("t"), 1, "cross_entropy: t must be [n]");
         return {ops::cross_entropy(exec, a.in("x"), a.in("t").value(), a.real("label_smoothing")), {}};
       }},
      {"kl_div",
       {{"x"}, {.name = "t", .differentiable = false}},
       {{"temperature", kTiny, 1e6, 1, false}},
       [](Exec& exec, const OperatorArguments& a) -> OperatorOutput {
         require_rank(a.in("x"), 2, "kl_div: x must be [n,classes]");
         return {ops::kl_div(exec, a.in("x"), a.in("t").value(), a.real("temperature")), {}};
       }},
      {"resize_bilinear", x, size, resize("resize_bilinear", kernels::ResizeKind::bilinear)},
      {"resize_bicubic", x, size, resize("resize_bicubic", kernels::ResizeKind::bicubic)},
  };
}

}  // namespace

std::span<const Operator> operators() {
  static const std::vector<Operator> all = make_operators();
  return all;
}

}  // namespace offramp::cli
