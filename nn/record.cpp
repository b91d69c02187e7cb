#include "nn/record.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "kernels/error.h"
#include "kernels/recorder.h"

namespace offramp::nn {
namespace {

using namespace kernels;

// Indices by address, in a sorted list: addresses come nearly in ascending order.
class AddressMap {
 public:
  void set(const void* address, int index) {
    const auto at = place(address);
    if (at != entries_.end() && at->first == address)
      entries_[size_t(at - entries_.begin())].second = index;
    else
      entries_.insert(at, {address, index});
  }
  int find(const void* address) const {  // -1: not there
    const auto at = place(address);
    return at != entries_.end() && at->first == address ? at->second : -1;
  }

 private:
  using Entry = std::pair<const void*, int>;
  std::vector<Entry>::const_iterator place(const void* address) const {
    return std::lower_bound(entries_.begin(), entries_.end(), address,
                            [](const Entry& e, const void* a) { return std::less<>()(e.first, a); });
  }
  std::vector<Entry> entries_;
};

// Translates recorded pointers into buffer and weight indices.
class PlanBuilder {
 public:
  explicit PlanBuilder(Plan& plan) : plan_(plan) {}

  void add_weight(const std::string& name, const Tensor& value) {
    weight_at_.set(value.data<float>(), int(plan_.weights.size()));
    plan_.weights.push_back({name, value});
  }
  int add_buffer(const void* address, i64 floats) {
    const int id = int(plan_.buffers.size());
    plan_.buffers.push_back(floats);
    buffer_at_.set(address, id);
    return id;
  }
  int buffer(const float* address) const {
    if (!address) return -1;
    const int found = buffer_at_.find(address);
    if (found < 0) throw Error("record: a call reads memory that no recorded call wrote");
    return found;
  }
  int weight(const float* address) const {
    if (!address) return -1;
    const int found = weight_at_.find(address);
    if (found < 0) throw Error("record: a call reads a weight that is no parameter of the network");
    return found;
  }

  // One Step per recorded call.
  Step operator()(const std::monostate&) const { throw Error("record: the forward made a call of training"); }
  Step operator()(const Conv2dCall& c) {
    const i64 in = c.dims.c_in / c.dims.groups, k = c.dims.kernel;
    require_dense(c.w, k * k * in, k * in, in);
    return {.dims = c.dims,
            .x = buffer(c.x),
            .z = buffer(c.residual),
            .y = add_buffer(c.y, c.out_h * c.out_w * c.dims.c_out),
            .w = weight(c.w.data),
            .bias = weight(c.bias),
            .act = c.act};
  }
  Step operator()(const DepthwiseCall& c) {
    const i64 k = c.dims.kernel;
    require_dense(c.w, k * k, k, 1);
    return {.dims = c.dims,
            .x = buffer(c.x),
            .y = add_buffer(c.y, c.out_h * c.out_w * c.dims.c),
            .w = weight(c.w.data),
            .bias = weight(c.bias),
            .act = c.act};
  }
  Step operator()(const GemmCall& c) {
    if (c.a_row != c.dims.k || c.b_col != c.dims.k || c.c_row != c.dims.n || c.a_k != 1 || c.b_k != 1)
      throw Error("record: a gemm with strided operands");
    return {.dims = c.dims,
            .x = buffer(c.a),
            .z = buffer(c.residual),
            .y = add_buffer(c.c, c.dims.m * c.dims.n),
            .w = weight(c.b),
            .bias = weight(c.bias),
            .act = c.act};
  }
  Step operator()(const PoolCall& c) {
    return {.dims = c.dims, .x = buffer(c.x), .y = add_buffer(c.y, c.out_h * c.out_w * c.dims.c)};
  }
  Step operator()(const GlobalAvgPoolCall& c) {
    return {.dims = c.dims, .x = buffer(c.x), .y = add_buffer(c.y, c.dims.n * c.dims.c)};
  }
  Step operator()(const NormCall& c) {
    return {.dims = c.dims,
            .x = buffer(c.x),
            .y = add_buffer(c.y, c.dims.rows * c.dims.c),
            .mean = weight(c.mean),
            .var = weight(c.var),
            .gamma = weight(c.gamma),
            .beta = weight(c.beta),
            .eps = c.eps,
            .act = c.act};
  }
  Step operator()(const ActCall& c) {
    return {.dims = c.dims, .x = buffer(c.x), .y = add_buffer(c.y, c.dims.count)};
  }
  Step operator()(const BinaryCall& c) {
    return {.dims = c.dims,
            .x = buffer(c.x),
            .z = buffer(c.z),
            .y = add_buffer(c.y, c.dims.n * c.dims.hw * c.dims.c)};
  }
  Step operator()(const ResizeCall& c) {
    return {.dims = c.dims, .x = buffer(c.x), .y = add_buffer(c.y, c.dims.out_h * c.dims.out_w * c.dims.c)};
  }
  Step operator()(const SoftmaxCall& c) {
    return {.dims = c.dims, .x = buffer(c.x), .y = add_buffer(c.y, c.dims.rows * c.dims.classes)};
  }

 private:
  static void require_dense(const WeightView& w, i64 out, i64 row, i64 tap) {
    if (w.to_next_out != out || w.to_next_row != row || w.to_next_tap != tap)
      throw Error("record: a weight that is a view of a larger one; extract the network first");
  }

  Plan& plan_;
  AddressMap buffer_at_, weight_at_;
};

}  // namespace

Plan record(EarlyExitNetwork& network) {
  const Architecture& arch = network.architecture();
  Plan plan{.height = arch.height,
            .width = arch.width,
            .channels = arch.channels,
            .classes = arch.classes,
            .learned_confidence = arch.learned_confidence};
  PlanBuilder builder(plan);
  plan.weights.reserve(network.named_parameters().size() + network.named_buffers().size());
  for (const auto& p : network.named_parameters()) builder.add_weight(p.name, p.variable.value());
  for (const auto& b : network.named_buffers()) builder.add_weight(b.name, b.tensor);

  Recorder recorder{.dry = true};
  Exec exec(Target::portable, 1, /*record_only=*/true);
  exec.recorder = &recorder;
  Variable x(Tensor::empty({1, arch.height, arch.width, arch.channels}, DType::f32, Device::meta));
  builder.add_buffer(x.value().data<float>(), x.value().count());

  // Meta addresses are never used twice, so an address names its buffer for good.
  const auto take = [&](std::vector<Step>& steps) {
    for (const RecordedCall& c : recorder.calls) steps.push_back(std::visit(builder, c.call));
    recorder.calls.clear();
  };
  for (size_t s = 0; s < arch.stages.size(); ++s) {
    PlanStage& stage = plan.stages.emplace_back();
    stage.name = arch.stages[s].name;
    x = network.body(exec, i64(s), x, Mode::evaluate);
    take(stage.body);
    stage.features = builder.buffer(x.value().data<float>());
    if (arch.stages[s].head.empty()) continue;
    const Variable logits = network.head(exec, i64(s), x, Mode::evaluate);
    take(stage.head);
    stage.logits = builder.buffer(logits.value().data<float>());
  }
  // The plan is the host's, whichever memory the network was trained in.
  for (PlanWeight& w : plan.weights)
    if (w.value.device() == Device::cuda) w.value = w.value.to(Device::cpu);
  return plan;
}

Plan deployable(EarlyExitNetwork& network) {
  Plan plan = record(network);
  fold(plan);
  require_valid(plan);
  return plan;
}

}  // namespace offramp::nn
