#include "autograd/ops/mbconv.h"

#include "autograd/ops/convolution.h"

namespace offramp::ops {
namespace {

using namespace kernels;

constexpr const char* kOp = "mbconv";

// Places among the inputs.
enum : size_t { kX, kExpand, kDepthwise = kExpand + 3, kReduce = kDepthwise + 3, kProject = kReduce + 4 };

struct Gate {  // squeeze-excite: mean -> reduce -> hidden -> gate -> raw -> hard sigmoid -> value
  Tensor reduce, reduce_bias, gate, gate_bias, mean, hidden, raw, value;
  bool defined() const { return reduce.defined(); }
};

struct Block {
  i64 n, h, w, c_in, mid, out_h, out_w, c_out;
  MBConvOptions options;
  Tensor x;
  Unit expand, depthwise, project;
  Gate gate;

  i64 in_hw() const { return h * w; }
  i64 out_hw() const { return out_h * out_w; }
  float eps() const { return float(options.eps); }
  DepthwiseDims depthwise_dims() const {
    return {.n = n,
            .h = h,
            .w = w,
            .c = mid,
            .kernel = depthwise.w.extent(1),
            .stride = options.stride,
            .pad = options.pad};
  }
  NormedDims expand_dims() const { return {.rows = n * in_hw(), .c_in = c_in, .c_out = mid, .hw = in_hw()}; }
  NormedDims project_dims() const {
    return {.rows = n * out_hw(), .c_in = mid, .c_out = c_out, .hw = out_hw()};
  }
  NormedDims result_dims() const {
    return {.rows = n * out_hw(), .c_in = c_out, .c_out = c_out, .hw = out_hw()};
  }
  template <class T>
  NormedT<T> depthwise_in() const {
    return expand.defined() ? expand.read<T>(options.act) : NormedT<T>{.x = x.data<T>()};
  }
  Conv2dDims gate_dims(const Tensor& weight) const {
    return {.n = n, .h = 1, .w = 1, .c_in = weight.extent(3), .c_out = weight.extent(0), .kernel = 1};
  }
};

Unit unit_of(const NormedWeight& parameters, const char* name, i64 groups_in, i64 kernel) {
  if (parameters.weight.defined()) {
    const Tensor& w = parameters.weight.value();
    require_rank(kOp, "weight [c_out,k,k,c_in/groups]", w, 4);
    if (w.count() == 0 || w.extent(1) != w.extent(2) || (kernel && w.extent(1) != kernel) ||
        w.extent(3) != groups_in)
      refuse(kOp, std::string("a square kernel on ") + std::to_string(groups_in) + " channels for " + name,
             w.shape().str());
  }
  return Unit(kOp, parameters);
}

Block require_block(const Tensor& x, const MBConvParameters& p, const MBConvOptions& o) {
  require_rank(kOp, "input [n,h,w,c]", x, 4);
  if (x.dtype() != DType::f32 && x.dtype() != DType::bf16)
    refuse(kOp, "f32 or bf16 elements", std::string(dtype_name(x.dtype())));
  if (x.count() == 0) refuse(kOp, "at least one value", x.shape().str());
  Block b{.n = x.extent(0),
          .h = x.extent(1),
          .w = x.extent(2),
          .c_in = x.extent(3),
          .mid = 0,
          .out_h = 0,
          .out_w = 0,
          .c_out = 0,
          .options = o,
          .x = packed(x),
          .expand = {},
          .depthwise = {},
          .project = {},
          .gate = {}};
  b.expand = unit_of(p.expand, "the expansion", b.c_in, 1);
  b.mid = b.expand.defined() ? b.expand.c() : b.c_in;
  b.depthwise = unit_of(p.depthwise, "the depthwise convolution", 1, 0);
  b.project = unit_of(p.project, "the projection", b.mid, 1);
  if (b.depthwise.c() != b.mid)
    refuse(kOp, "a depthwise convolution of " + std::to_string(b.mid) + " channels",
           b.depthwise.w.shape().str());
  require_depthwise(b.depthwise_dims());
  const Extent out = depthwise_out(b.depthwise_dims());
  b.out_h = out.h;
  b.out_w = out.w;
  b.c_out = b.project.c();
  if (o.residual && (b.out_h != b.h || b.out_w != b.w || b.c_out != b.c_in))
    refuse(kOp, "equal input and output for a residual block", x.shape().str());
  if (p.reduce.defined()) {
    b.gate = {.reduce = viewable(p.reduce.value()),
              .reduce_bias = packed(p.reduce_bias.value()),
              .gate = viewable(p.gate.value()),
              .gate_bias = packed(p.gate_bias.value()),
              .mean = {},
              .hidden = {},
              .raw = {},
              .value = {}};
    const i64 r = b.gate.reduce.extent(0);
    if (b.gate.reduce.shape() != Shape{r, 1, 1, b.mid} || b.gate.gate.shape() != Shape{b.mid, 1, 1, r} ||
        b.gate.reduce_bias.shape() != Shape{r} || b.gate.gate_bias.shape() != Shape{b.mid})
      refuse(kOp, "squeeze-excite on " + std::to_string(b.mid) + " channels",
             b.gate.reduce.shape().str() + " and " + b.gate.gate.shape().str());
  }
  return b;
}

template <class T>
void run_gate(Exec& exec, Block& b) {
  Gate& g = b.gate;
  const auto room = [&](i64 c) { return Tensor::empty({b.n, 1, 1, c}, b.x.dtype(), b.x.device()); };
  const i64 reduced = g.reduce.extent(0);
  g.mean = room(b.mid), g.hidden = room(reduced), g.raw = room(b.mid), g.value = room(b.mid);
  normed_squeeze(exec, NormedSqueezeCallT<T>{.dims = b.project_dims(),
                                             .reduced = reduced,
                                             .in = b.depthwise.template read<T>(b.options.act),
                                             .reduce = std::as_const(g.reduce).data<float>(),
                                             .reduce_bias = std::as_const(g.reduce_bias).data<float>(),
                                             .gate = std::as_const(g.gate).data<float>(),
                                             .gate_bias = std::as_const(g.gate_bias).data<float>(),
                                             .reduce_row = g.reduce.strides()[0],
                                             .gate_row = g.gate.strides()[0],
                                             .mean = g.mean.data<T>(),
                                             .hidden = g.hidden.data<T>(),
                                             .raw = g.raw.data<T>(),
                                             .value = g.value.data<T>()});
}

template <class T>
Tensor run_block(Exec& exec, Block& b) {
  const Device device = b.x.device();
  if (b.expand.defined()) {
    b.expand.make_room({b.n, b.h, b.w, b.mid}, b.x.dtype(), device);
    normed_pointwise(exec, NormedPointwiseCallT<T>{.dims = b.expand_dims(),
                                                   .in = {.x = std::as_const(b.x).data<T>()},
                                                   .w = std::as_const(b.expand.w).data<float>(),
                                                   .w_row = b.expand.w.strides()[0],
                                                   .y = b.expand.y.data<T>(),
                                                   .out = b.expand.out(exec, b.eps())});
  }
  b.depthwise.make_room({b.n, b.out_h, b.out_w, b.mid}, b.x.dtype(), device);
  normed_depthwise(exec, NormedDepthwiseCallT<T>{.dims = b.depthwise_dims(),
                                                 .out_h = b.out_h,
                                                 .out_w = b.out_w,
                                                 .in = b.template depthwise_in<T>(),
                                                 .w = view_of<T>(b.depthwise.w),
                                                 .y = b.depthwise.y.data<T>(),
                                                 .out = b.depthwise.out(exec, b.eps())});
  if (b.gate.defined()) run_gate<T>(exec, b);
  b.project.make_room({b.n, b.out_h, b.out_w, b.c_out}, b.x.dtype(), device);
  normed_pointwise(exec,
                   NormedPointwiseCallT<T>{.dims = b.project_dims(),
                                           .in = b.depthwise.template read<T>(b.options.act, b.gate.value),
                                           .w = std::as_const(b.project.w).data<float>(),
                                           .w_row = b.project.w.strides()[0],
                                           .y = b.project.y.data<T>(),
                                           .out = b.project.out(exec, b.eps())});
  Tensor y = Tensor::empty(b.project.y.shape(), b.x.dtype(), device);
  normed_add(exec, NormedAddCallT<T>{.dims = b.result_dims(),
                                     .in = b.project.template read<T>(Act::none),
                                     .residual = b.options.residual ? std::as_const(b.x).data<T>() : nullptr,
                                     .y = y.data<T>()});
  return y;
}

// From the gradient g of the gated tensor to dz, in place; the gate's own parameters on the way.
template <class T>
void gate_gradient(Backward& back, const Block& b, Tensor& g, const NormGradOut& out) {
  Exec& exec = back.exec();
  const Gate& gate = b.gate;
  const auto like = [](const Tensor& t) { return Tensor::empty(t.shape(), t.dtype(), t.device()); };
  Tensor raw = like(gate.raw), hidden = like(gate.hidden), mean = like(gate.mean);
  Tensor gate_w = like(gate.gate), reduce_w = like(gate.reduce);
  normed_squeeze_grad(exec, NormedSqueezeGradCallT<T>{.dims = b.project_dims(),
                                                      .reduced = gate.reduce.extent(0),
                                                      .in = b.depthwise.template read<T>(b.options.act),
                                                      .g = std::as_const(g).data<T>(),
                                                      .reduce = gate.reduce.data<float>(),
                                                      .gate = gate.gate.data<float>(),
                                                      .reduce_row = gate.reduce.strides()[0],
                                                      .gate_row = gate.gate.strides()[0],
                                                      .hidden = gate.hidden.data<T>(),
                                                      .raw = gate.raw.data<T>(),
                                                      .of_raw = raw.data<T>(),
                                                      .of_hidden = hidden.data<T>(),
                                                      .of_mean = mean.data<T>()});
  const auto weight_gradient = [&](const Tensor& x, const Tensor& w, const Tensor& gy, Tensor& gw) {
    conv2d_grad(exec, Conv2dGradCallT<T>{.dims = b.gate_dims(w),
                                         .out_h = 1,
                                         .out_w = 1,
                                         .x = x.data<T>(),
                                         .w = view_of<T>(w),
                                         .gy = gy.data<T>(),
                                         .gx = nullptr,
                                         .gw = gw.data<float>()});
  };
  weight_gradient(gate.hidden, gate.gate, raw, gate_w);
  weight_gradient(gate.mean, gate.reduce, hidden, reduce_w);
  back.add(kReduce, std::move(reduce_w));
  back.add(kReduce + 1, column_sum(exec, hidden));
  back.add(kReduce + 2, std::move(gate_w));
  back.add(kReduce + 3, column_sum(exec, raw));
  normed_slope(exec, NormedSlopeCallT<T>{.dims = b.project_dims(),
                                         .in = b.depthwise.template read<T>(b.options.act, gate.value),
                                         .g = std::as_const(g).data<T>(),
                                         .shift = std::as_const(mean).data<T>(),
                                         .shift_factor = 1.0f / float(b.out_hw()),
                                         .dz = g.data<T>(),
                                         .out = out});
}

template <class T>
void gradient(Backward& back, const Block& b) {
  Exec& exec = back.exec();
  const float eps = b.eps();
  const auto like = [](const Tensor& t) { return Tensor::empty(t.shape(), t.dtype(), t.device()); };
  const Tensor gy = back.gy();
  UnitGrad project(b.project), depthwise(b.depthwise);
  normed_slope(exec, NormedSlopeCallT<T>{.dims = b.result_dims(),
                                         .in = b.project.template read<T>(Act::none),
                                         .g = gy.data<T>(),
                                         .dz = nullptr,
                                         .out = project.out(b.project, eps)});
  Tensor dz = like(b.depthwise.y);
  normed_pointwise_grad(
      exec, NormedPointwiseGradCallT<T>{.dims = b.project_dims(),
                                        .in = b.depthwise.template read<T>(b.options.act, b.gate.value),
                                        .gy = project.template read<T>(b.project, gy),
                                        .w = b.project.w.data<float>(),
                                        .w_row = b.project.w.strides()[0],
                                        .gw = project.w.data<float>(),
                                        .gx = dz.data<T>(),
                                        .out = depthwise.out(b.depthwise, eps)});
  if (b.gate.defined()) gate_gradient<T>(back, b, dz, depthwise.out(b.depthwise, eps));
  project.hand_over(back, kProject);

  const T* const residual = b.options.residual ? gy.data<T>() : nullptr;
  // Every place of gy is read before gx is written there.
  Tensor gx;
  if (back.wants(kX)) gx = b.options.residual && !exec.gpu() ? back.gy_or_new() : like(b.x);
  NormedDepthwiseGradCallT<T> call{.dims = b.depthwise_dims(),
                                   .out_h = b.out_h,
                                   .out_w = b.out_w,
                                   .in = b.template depthwise_in<T>(),
                                   .gy = depthwise.template read<T>(b.depthwise, dz),
                                   .w = view_of<T>(b.depthwise.w),
                                   .gw = depthwise.w.data<float>(),
                                   .gx = nullptr};
  if (b.expand.defined()) {
    UnitGrad expand(b.expand);
    // In place where the shapes agree and a sample is read before it is written.
    const bool in_place = !exec.gpu() && b.options.stride == 1 && dz.shape() == b.expand.y.shape();
    Tensor hidden = in_place ? dz : like(b.expand.y);
    call.gx = hidden.data<T>();
    call.out = expand.out(b.expand, eps);
    normed_depthwise_grad(exec, call);
    dz = {};
    normed_pointwise_grad(exec, NormedPointwiseGradCallT<T>{.dims = b.expand_dims(),
                                                            .in = {.x = b.x.data<T>()},
                                                            .gy = expand.template read<T>(b.expand, hidden),
                                                            .w = b.expand.w.data<float>(),
                                                            .w_row = b.expand.w.strides()[0],
                                                            .gw = expand.w.data<float>(),
                                                            .gx = gx.defined() ? gx.data<T>() : nullptr,
                                                            .residual = residual});
    expand.hand_over(back, kExpand);
  } else {
    call.gx = gx.defined() ? gx.data<T>() : nullptr;
    call.residual = residual;
    normed_depthwise_grad(exec, call);
  }
  depthwise.hand_over(back, kDepthwise);
  if (gx.defined()) back.add(kX, std::move(gx));
}

}  // namespace

Variable mbconv_train(Exec& exec, const Variable& x, const MBConvParameters& p,
                      const MBConvOptions& options) {
  Block b = require_block(x.value(), p, options);
  common_device(kOp, exec, {&b.x, &b.expand.w, &b.depthwise.w, &b.project.w, &b.gate.reduce, &b.gate.gate});
  const bool bf16 = b.x.dtype() == DType::bf16;
  Tensor y;
  if constexpr (offramp::cuda::kBuilt)
    if (bf16) y = run_block<Bf16>(exec, b);
  if (!bf16) y = run_block<float>(exec, b);
  if (!exec.gpu())
    for (const auto& [u, rows] :
         {std::pair(&b.expand, b.n * b.in_hw()), std::pair(&b.depthwise, b.n * b.out_hw()),
          std::pair(&b.project, b.n * b.out_hw())})
      if (u->running.mean.defined())
        update_running(exec, u->running.mean, u->running.var, {.mean = u->mean, .var = u->var, .rows = rows},
                       u->running.weight);
  std::vector<Variable> inputs{x};
  const auto add_unit = [&](const NormedWeight& u) {
    inputs.insert(inputs.end(), {u.weight, u.gamma, u.beta});
  };
  add_unit(p.expand);
  add_unit(p.depthwise);
  inputs.insert(inputs.end(), {p.reduce, p.reduce_bias, p.gate, p.gate_bias});
  add_unit(p.project);
  for (const Variable& v : inputs)
    if (v.defined() && v.requires_grad())
      return Variable::result(std::move(y), std::move(inputs), [b = std::move(b), bf16](Backward& back) {
        if constexpr (offramp::cuda::kBuilt)
          if (bf16) return gradient<Bf16>(back, b);
        gradient<float>(back, b);
      });
  return Variable(std::move(y));
}

}  // namespace offramp::ops
