#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/error.h"
#include "nn/record.h"

namespace offramp::nn {
namespace {

using namespace kernels;

// Rewrites a plan segment by segment. A step is merged into the one that produced its operand when nobody
// else reads that operand.
class Folder {
 public:
  explicit Folder(Plan& plan) : plan_(plan), readers_(plan.buffers.size(), 0) {
    for (const PlanStage& stage : plan.stages) {
      for (const auto* steps : {&stage.body, &stage.head})
        for (const Step& s : *steps)
          for (int read : {s.x, s.z})
            if (read >= 0) ++readers_[size_t(read)];
      // The runner reads these, and the next stage may.
      readers_[size_t(stage.features)] += 2;
      if (stage.logits >= 0) ++readers_[size_t(stage.logits)];
    }
  }

  void run() {
    plan_.weights.reserve(2 *
                          plan_.weights.size());  // a weight and a bias for each folded norm, which has four
    for (PlanStage& stage : plan_.stages) {
      merge(stage.body);
      merge(stage.head);
    }
    drop_unused();
  }

 private:
  // True when `later` became part of `producer`, whose output it then writes.
  bool absorb(Step& producer, const Step& later) {
    const bool has_weights = producer.w >= 0;
    if (std::holds_alternative<NormDims>(later.dims) && has_weights && producer.act == Act::none &&
        producer.z < 0) {
      fold_norm(producer, later);
      return true;
    }
    if (const auto* act = std::get_if<ActDims>(&later.dims); act && producer.act == Act::none) {
      const bool takes_act = has_weights || std::holds_alternative<NormDims>(producer.dims);
      if (takes_act) producer.act = act->act;
      return takes_act;
    }
    return false;
  }

  // y = producer + other, where other is ready before the producer runs.
  bool absorb_residual(Step& producer, const Step& add, const std::vector<Step>& before) {
    const bool takes =
        std::holds_alternative<Conv2dDims>(producer.dims) || std::holds_alternative<GemmDims>(producer.dims);
    if (!takes || producer.act != Act::none || producer.z >= 0) return false;
    const int other = add.x == producer.y ? add.z : add.x;
    if (other == producer.y) return false;  // y + y
    const bool written_later =
        std::any_of(static_cast<const Step*>(&producer) + 1, before.data() + before.size(),
                    [&](const Step& s) { return s.y == other; });
    if (written_later) return false;
    producer.z = other;
    return true;
  }

  void merge(std::vector<Step>& steps) {
    std::vector<Step> out;
    out.reserve(steps.size());
    for (const Step& s : steps) {
      const auto sole_producer = [&](int buffer) -> Step* {
        if (buffer < 0 || readers_[size_t(buffer)] != 1) return nullptr;
        const auto found = std::find_if(out.begin(), out.end(), [&](const Step& p) { return p.y == buffer; });
        return found == out.end() ? nullptr : &*found;
      };
      Step* producer = sole_producer(s.x);
      bool merged = false;
      if (const auto* binary = std::get_if<BinaryDims>(&s.dims)) {
        if (binary->kind == BinaryKind::add && !binary->broadcast)
          for (int operand : {s.z, s.x}) {
            producer = sole_producer(operand);
            if ((merged = producer && absorb_residual(*producer, s, out))) break;
          }
      } else if (producer) {
        merged = absorb(*producer, s);
      }
      if (!merged) {
        out.push_back(s);
        continue;
      }
      producer->y = s.y;
      // Whoever runs between the two cannot read what is now written earlier or its old name, so order holds.
    }
    steps = std::move(out);
  }

  int add_weight(std::string name, Tensor value) {
    plan_.weights.push_back({std::move(name), std::move(value)});
    return int(plan_.weights.size()) - 1;
  }

  // w' = w * scale per output channel, bias' = (bias - mean) * scale + beta, scale = gamma / sqrt(var + eps);
  // in double, rounded once.
  void fold_norm(Step& conv, const Step& norm) {
    const auto weight = [&](int i) -> const PlanWeight& { return plan_.weights[size_t(i)]; };
    const std::string name = weight(conv.w).name;  // adding weights moves them
    const Tensor w = weight(conv.w).value;
    const i64 out = std::get<NormDims>(norm.dims).c;
    const Device device = w.device();
    Tensor folded = Tensor::empty(w.shape(), DType::f32, device);
    Tensor bias = Tensor::empty({out}, DType::f32, device);
    if (device == Device::cpu) {
      const float *mean = weight(norm.mean).value.data<float>(), *var = weight(norm.var).value.data<float>(),
                  *gamma = weight(norm.gamma).value.data<float>(),
                  *beta = weight(norm.beta).value.data<float>(),
                  *old_bias = conv.bias < 0 ? nullptr : weight(conv.bias).value.data<float>(),
                  *from = w.data<float>();
      const i64 each = w.count() / out;
      for (i64 c = 0; c < out; ++c) {
        const double scale = double(gamma[c]) / std::sqrt(double(var[c]) + double(norm.eps));
        for (i64 i = 0; i < each; ++i) folded.data<float>()[c * each + i] = float(from[c * each + i] * scale);
        const double b = old_bias ? old_bias[c] : 0;
        bias.data<float>()[c] = float((b - mean[c]) * scale + beta[c]);
      }
    }
    const std::string stem = name.substr(0, name.rfind(".weight"));
    conv.w = add_weight(stem + ".weight", std::move(folded));
    conv.bias = add_weight(stem + ".bias", std::move(bias));
    conv.act = norm.act;
  }

  // Keeps the weights and buffers that a step still names, renumbered in order of first use.
  void drop_unused() {
    std::vector<int> new_weight(plan_.weights.size(), -1), new_buffer(plan_.buffers.size(), -1);
    std::vector<PlanWeight> weights;
    weights.reserve(plan_.weights.size());
    std::vector<i64> buffers{plan_.buffers[0]};
    new_buffer[0] = 0;
    const auto keep_weight = [&](int& i) {
      if (i < 0) return;
      int& to = new_weight[size_t(i)];
      if (to < 0) {
        to = int(weights.size());
        weights.push_back(std::move(plan_.weights[size_t(i)]));  // asked for once
      }
      i = to;
    };
    const auto keep_buffer = [&](int& i) {
      if (i < 0) return;
      int& to = new_buffer[size_t(i)];
      if (to < 0) {
        to = int(buffers.size());
        buffers.push_back(plan_.buffers[size_t(i)]);
      }
      i = to;
    };
    for (PlanStage& stage : plan_.stages) {
      for (auto* steps : {&stage.body, &stage.head})
        for (Step& s : *steps) {
          for (int* w : {&s.w, &s.bias, &s.mean, &s.var, &s.gamma, &s.beta}) keep_weight(*w);
          for (int* b : {&s.x, &s.z, &s.y}) keep_buffer(*b);
        }
      keep_buffer(stage.features);
      keep_buffer(stage.logits);
    }
    plan_.weights = std::move(weights);
    plan_.buffers = std::move(buffers);
  }

  Plan& plan_;
  std::vector<int> readers_;
};

}  // namespace

void fold(Plan& plan) { Folder(plan).run(); }

}  // namespace offramp::nn
