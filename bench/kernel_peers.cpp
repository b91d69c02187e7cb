// The same layer shapes through our rows, OpenBLAS and oneDNN, in one process, in alternating turns: the
// ratio of each shape and the geometric mean. One thread. Built with -DOFFRAMP_PEERS=ON from what is found.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#if defined(OFFRAMP_PEER_ONEDNN)
#include <omp.h>

#include <dnnl.hpp>
#endif
#if defined(OFFRAMP_PEER_OPENBLAS)
#include <cblas.h>
#endif

#include "bench/bench_main.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/rng.h"
#include "kernels/timing.h"
#include "nas/cli/bench_cases.h"

namespace offramp::bench {
namespace {

using namespace kernels;

// One layer y = relu(conv(x, w) + b), NHWC, as plain numbers; depthwise: groups = channels = c_in = c_out.
struct Layer {
  i64 n, h, w, c_in, c_out, kernel, stride, pad, groups, out_h, out_w;
  std::vector<float> x, weights, bias, y;
  bool depthwise() const { return groups > 1; }
  bool pointwise() const { return kernel == 1 && stride == 1 && pad == 0 && groups == 1; }
};

std::optional<Layer> layer_of(const nn::StepDims& dims) {
  Layer l{};
  if (const auto* d = std::get_if<Conv2dDims>(&dims)) {
    if (d->groups != 1) return {};
    const Extent out = conv2d_out(*d);
    l = {.n = d->n,
         .h = d->h,
         .w = d->w,
         .c_in = d->c_in,
         .c_out = d->c_out,
         .kernel = d->kernel,
         .stride = d->stride,
         .pad = d->pad,
         .groups = 1,
         .out_h = out.h,
         .out_w = out.w};
  } else if (const auto* p = std::get_if<DepthwiseDims>(&dims)) {
    const Extent out = depthwise_out(*p);
    l = {.n = p->n,
         .h = p->h,
         .w = p->w,
         .c_in = p->c,
         .c_out = p->c,
         .kernel = p->kernel,
         .stride = p->stride,
         .pad = p->pad,
         .groups = p->c,
         .out_h = out.h,
         .out_w = out.w};
  } else {
    return {};
  }
  Rng rng(1);
  const auto fill = [&](std::vector<float>& v, i64 count) {
    v.resize(std::size_t(count));
    for (float& x : v) x = rng.uniform(-1, 1);
  };
  fill(l.x, l.n * l.h * l.w * l.c_in);
  fill(l.weights, l.c_out * l.kernel * l.kernel * (l.c_in / l.groups));
  fill(l.bias, l.c_out);
  l.y.assign(std::size_t(l.n * l.out_h * l.out_w * l.c_out), 0.0f);
  return l;
}

// A way to compute the layer into `y`, everything that depends on the weights alone done beforehand.
struct Contestant {
  std::string name;
  std::function<void()> run;
  std::vector<float> y;
};
using Shared = std::shared_ptr<Contestant>;

std::shared_ptr<float> aligned(i64 floats) {
  return {static_cast<float*>(std::aligned_alloc(64, std::size_t((floats + 16) / 16 * 64))), std::free};
}

Shared ours(const Layer& l, Exec& exec) {
  auto c = std::make_shared<Contestant>();
  c->name = "offramp";
  c->y = l.y;
  float* const y = c->y.data();
  if (l.depthwise()) {
    const DepthwiseDims d{
        .n = l.n, .h = l.h, .w = l.w, .c = l.c_in, .kernel = l.kernel, .stride = l.stride, .pad = l.pad};
    const WeightView view{l.weights.data(), l.kernel * l.kernel, l.kernel, 1};
    const auto packed = aligned(depthwise_packed_floats(d, exec.target()));
    depthwise_pack(d, exec.target(), view, packed.get());
    c->run = [=, &exec, &l] {
      depthwise(exec, DepthwiseCall{.dims = d,
                                    .out_h = l.out_h,
                                    .out_w = l.out_w,
                                    .x = l.x.data(),
                                    .w = view,
                                    .packed = packed.get(),
                                    .bias = l.bias.data(),
                                    .act = Act::relu,
                                    .y = y});
    };
    return c;
  }
  const Conv2dDims d{.n = l.n,
                     .h = l.h,
                     .w = l.w,
                     .c_in = l.c_in,
                     .c_out = l.c_out,
                     .kernel = l.kernel,
                     .stride = l.stride,
                     .pad = l.pad};
  const WeightView view = dense_weights(l.weights.data(), d);
  const auto packed = aligned(conv2d_packed_floats(d, exec.target()));
  conv2d_pack(d, exec.target(), view, packed.get());
  c->run = [=, &exec, &l] {
    conv2d(exec, Conv2dCall{.dims = d,
                            .out_h = l.out_h,
                            .out_w = l.out_w,
                            .x = l.x.data(),
                            .w = view,
                            .packed = packed.get(),
                            .bias = l.bias.data(),
                            .act = Act::relu,
                            .y = y});
  };
  return c;
}

#if defined(OFFRAMP_PEER_OPENBLAS)
// Pointwise layers are a matrix product and a pass for bias and activation.
Shared openblas(const Layer& l) {
  if (!l.pointwise()) return nullptr;
  openblas_set_num_threads(1);
  auto c = std::make_shared<Contestant>();
  c->name = "openblas";
  c->y = l.y;
  float* const y = c->y.data();
  c->run = [&l, y] {
    const i64 pixels = l.n * l.h * l.w;
    for (i64 p = 0; p < pixels; ++p) std::copy(l.bias.begin(), l.bias.end(), y + p * l.c_out);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, int(pixels), int(l.c_out), int(l.c_in), 1.0f,
                l.x.data(), int(l.c_in), l.weights.data(), int(l.c_in), 1.0f, y, int(l.c_out));
    for (i64 i = 0; i < pixels * l.c_out; ++i) y[i] = std::max(y[i], 0.0f);
  };
  return c;
}
#endif

#if defined(OFFRAMP_PEER_ONEDNN)
// Its own choice of weight layout, reordered beforehand; bias and relu fused.
Shared onednn(const Layer& l) {
  using namespace dnnl;
  using tag = memory::format_tag;
  static engine cpu(engine::kind::cpu, 0);
  static stream queue(cpu);
  const auto f32 = memory::data_type::f32;
  auto c = std::make_shared<Contestant>();
  c->name = "onednn";
  c->y = l.y;
  const memory::desc src({l.n, l.c_in, l.h, l.w}, f32, tag::nhwc);
  const memory::desc dst({l.n, l.c_out, l.out_h, l.out_w}, f32, tag::nhwc);
  const memory::desc bias({l.c_out}, f32, tag::x);
  const memory::dims shape = l.depthwise() ? memory::dims{l.groups, 1, 1, l.kernel, l.kernel}
                                           : memory::dims{l.c_out, l.c_in, l.kernel, l.kernel};
  const memory::desc any(shape, f32, tag::any), given(shape, f32, l.depthwise() ? tag::goihw : tag::ohwi);
  post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm::eltwise_relu, 0.0f, 0.0f);
#else
  ops.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
#endif
  primitive_attr attr;
  attr.set_post_ops(ops);
  const memory::dims strides{l.stride, l.stride}, pad{l.pad, l.pad};
#if DNNL_VERSION_MAJOR >= 3
  const convolution_forward::primitive_desc pd(cpu, prop_kind::forward_inference,
                                               algorithm::convolution_direct, src, any, bias, dst, strides,
                                               pad, pad, attr);
#else
  const convolution_forward::primitive_desc pd(
      {prop_kind::forward_inference, algorithm::convolution_direct, src, any, bias, dst, strides, pad, pad},
      attr, cpu);
#endif
  memory from(given, cpu, const_cast<float*>(l.weights.data())), weights(pd.weights_desc(), cpu);
  reorder(from, weights).execute(queue, from, weights);
  queue.wait();
  memory x(src, cpu, const_cast<float*>(l.x.data())), b(bias, cpu, const_cast<float*>(l.bias.data()));
  memory y(dst, cpu, c->y.data());
  const convolution_forward layer(pd);
  const std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, y}};
  c->run = [layer, arguments] {
    layer.execute(queue, arguments);
    queue.wait();
  };
  return c;
}
#endif

// Microseconds of each, the median of turns.
std::vector<double> race(const std::vector<Shared>& list, double seconds) {
  constexpr int kTurns = 7;
  std::vector<std::vector<double>> us(list.size());
  std::vector<i64> repeats(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Timing once = measure(list[i]->run, {.warm_up = 3, .min_runs = 3, .max_runs = 3});
    repeats[i] = std::clamp<i64>(i64(100 / std::max(once.min_us, 1e-3)), 1, 100000);
  }
  for (int turn = 0; turn < kTurns; ++turn)
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto burst = [&] {
        for (i64 r = 0; r < repeats[i]; ++r) list[i]->run();
      };
      us[i].push_back(
          measure(burst, {.warm_up = 1, .min_runs = 3, .max_runs = 10000, .min_seconds = seconds}).median_us /
          double(repeats[i]));
    }
  std::vector<double> medians;
  for (std::vector<double>& t : us) {
    std::sort(t.begin(), t.end());
    medians.push_back(t[t.size() / 2]);
  }
  return medians;
}

double largest_difference(const Contestant& a, const Contestant& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.y.size(); ++i)
    most = std::max(most, std::fabs(double(a.y[i]) - double(b.y[i])) / (1 + std::fabs(double(a.y[i]))));
  return most;
}

int run(cli::Console& console, const cli::Words& words) {
  cli::BenchOptions o;
  double seconds = 0.002;
  cli::Args args(console, "kernel_peers", "our kernels against OpenBLAS and oneDNN, alternating, one thread",
                 {"kernel_peers", "kernel_peers --all --batch 8 --shapes bench/shapes/aebnas.txt"});
  args.program("");
  cli::add_bench_flags(args, o);
  args.option("--seconds S", seconds, "of one turn; each contestant gets seven (default 0.002)")
      .notes("Ratios: the peer's time over ours, so above 1 we are faster.\n");
  if (!args.parse(words)) return 0;
#if defined(OFFRAMP_PEER_ONEDNN)
  omp_set_num_threads(1);
#endif
  Exec exec(default_target(), 1);
  std::map<std::string, std::pair<double, int>> sums;  // peer and kind -> sum of logarithms, count
  std::vector<std::vector<std::string>> rows{{"problem", "offramp us", "openblas", "onednn"}};
  for (const nas::microbench::Problem& problem : cli::bench_problems(o)) {
    if (problem.update) continue;
    const nn::StepDims dims = nn::at_batch(problem.step, o.batch);
    const std::optional<Layer> layer = layer_of(dims);
    if (!layer) continue;
    std::vector<Shared> list{ours(*layer, exec)};
#if defined(OFFRAMP_PEER_OPENBLAS)
    if (Shared c = openblas(*layer)) list.push_back(c);
#endif
#if defined(OFFRAMP_PEER_ONEDNN)
    if (Shared c = onednn(*layer)) list.push_back(c);
#endif
    for (const Shared& c : list) c->run();
    for (const Shared& c : list)
      if (const double d = largest_difference(*list[0], *c); !(d < 1e-3))
        throw Error(c->name + " and offramp disagree by " + std::to_string(d) + " on " + nn::dims_text(dims),
                    Error::Kind::verification);
    const std::vector<double> us = race(list, seconds);
    std::map<std::string, double> ratio;
    const std::string kind = layer->depthwise() ? "depthwise" : layer->pointwise() ? "1x1" : "kxk";
    for (std::size_t i = 1; i < list.size(); ++i) {
      ratio[list[i]->name] = us[i] / us[0];
      for (const std::string& of : {kind, std::string("all")}) {
        auto& sum = sums[list[i]->name + " " + of];
        sum.first += std::log(us[i] / us[0]);
        ++sum.second;
      }
    }
    const auto number = [](double v) {
      char text[32];
      std::snprintf(text, sizeof text, "%.2f", v);
      return std::string(text);
    };
    rows.push_back({nn::dims_text(dims), number(us[0]),
                    ratio.count("openblas") ? number(ratio["openblas"]) : "",
                    ratio.count("onednn") ? number(ratio["onednn"]) : ""});
  }
  console.print(cli::table(rows));
  for (const auto& [name, sum] : sums) {
    char text[120];
    std::snprintf(text, sizeof text, "%s: geometric mean of %d shapes %.2f\n", name.c_str(), sum.second,
                  std::exp(sum.first / sum.second));
    console.print(text);
  }
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  return offramp::bench::guarded_main("kernel_peers", [&](offramp::cli::Console& console) {
    return offramp::bench::run(console, offramp::cli::Words(argv + 1, argv + argc));
  });
}
