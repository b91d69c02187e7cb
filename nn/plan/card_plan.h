// A plan on the card: its weights, its buffers and the launches of its steps. Only for card_runner.cpp.
#pragma once
#include <algorithm>
#include <memory>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm.h"
#include "kernels/mbconv/mbconv.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "nn/plan/arena.h"
#include "nn/plan/blocks.h"

namespace offramp::nn {

using namespace kernels;

// What a stage launches.
struct StageParts {
  std::vector<PlanPart> body, head;
};
inline std::vector<StageParts> stage_parts(const Plan& plan) {
  std::vector<StageParts> parts;
  for (const PlanStage& stage : plan.stages)
    parts.push_back({parts_of(plan, stage.body), parts_of(plan, stage.head)});
  return parts;
}

// No groups: a card's kernels take the whole batch, one after the other. What a block reads lives as long as
// what it writes, for it may run in one launch.
inline Tiling whole(const Plan& plan, const std::vector<StageParts>& stages) {
  Tiling tiling{.bodies = {}, .heads = {}, .inside = std::vector<bool>(plan.buffers.size(), false)};
  const auto each = [](const std::vector<PlanPart>& parts) {
    std::vector<Segment> segments;
    for (const PlanPart& part : parts) segments.push_back({part.first, part.end, i64{1} << 40});
    return segments;
  };
  for (const StageParts& stage : stages) {
    tiling.bodies.push_back(each(stage.body));
    tiling.heads.push_back(each(stage.head));
  }
  return tiling;
}

template <class T>
constexpr DType kType = std::is_same_v<T, Bf16> ? DType::bf16 : DType::f32;

inline i64 bytes_of(const std::vector<Tensor>& tensors) {
  i64 bytes = 0;
  for (const Tensor& t : tensors) bytes += t.count() * dtype_size(t.dtype());
  return bytes;
}

template <class T>
class CardPlan {
 public:
  struct Moved {  // a buffer whose rows were moved together elsewhere
    int buffer;
    T* to;
  };

  CardPlan(std::shared_ptr<const Plan> plan, i64 max_batch)
      : plan_(std::move(plan)),
        parts_(stage_parts(*plan_)),
        layout_(lay_out(*plan_, whole(*plan_, parts_), max_batch)) {
    for (const PlanWeight& w : plan_->weights) {
      if (w.value.device() != Device::cpu)
        throw Error("this plan was recorded without weights ('" + w.name +
                    "'): it has a cost but cannot run");
      weights_.push_back(w.value.to(Device::cuda));
    }
    arena_ = Tensor::empty({layout_.shared_floats}, kType<T>, Device::cuda);
  }

  const Plan& plan() const { return *plan_; }
  const Tensor& arena() const { return arena_; }
  i64 weight_bytes() const { return bytes_of(weights_); }

  // The first `count` values of the images' buffer.
  Tensor input(i64 count) { return arena_.slice(0, layout_.offsets[0], count); }
  // moved: null, or a buffer that is read elsewhere.
  T* at(int buffer, const Moved* moved) {
    if (buffer < 0) return nullptr;
    if (moved && moved->buffer == buffer) return moved->to;
    return arena_.data<T>() + layout_.offsets[size_t(buffer)];
  }
  const float* weight(int index) {
    return index < 0 ? nullptr : std::as_const(weights_[size_t(index)]).template data<float>();
  }

  void run_body(Exec& exec, size_t stage, i64 n, const Moved* moved) {
    run(exec, plan_->stages[stage].body, parts_[stage].body, n, moved);
  }
  void run_head(Exec& exec, size_t stage, i64 n, const Moved* moved) {
    run(exec, plan_->stages[stage].head, parts_[stage].head, n, moved);
  }
  // Every launch of stages 0..last, nobody leaving: f(its steps, run()).
  template <class F>
  void each_launch(Exec& exec, i64 last_stage, i64 n, F&& f) {
    for (size_t s = 0; s <= size_t(last_stage); ++s) {
      each_launch(exec, plan_->stages[s].body, parts_[s].body, n, nullptr, f);
      each_launch(exec, plan_->stages[s].head, parts_[s].head, n, nullptr, f);
    }
  }

 private:
  template <class F>
  void each_launch(Exec& exec, const std::vector<Step>& steps, const std::vector<PlanPart>& parts, i64 n,
                   const Moved* moved, F&& f) {
    for (const PlanPart& part : parts) {
      const std::span<const Step> all = std::span(steps).subspan(part.first, part.end - part.first);
      if (part.block && mbconv_fits<T>(exec, part.block->dims(n))) {
        f(all, [&] { run_block(exec, *part.block, n, moved); });
        continue;
      }
      const bool scales = part.block && part.block->gate;
      for (const Step& s : all.first(all.size() - (scales ? 2 : 0)))
        f(std::span(&s, 1), [&] { std::visit(Run{*this, exec, s, moved}, at_batch(s.dims, n)); });
      if (scales) f(all.last(2), [&] { run_scaled_project(exec, *part.block, n, moved); });
    }
  }
  void run(Exec& exec, const std::vector<Step>& steps, const std::vector<PlanPart>& parts, i64 n,
           const Moved* moved) {
    each_launch(exec, steps, parts, n, moved, [](std::span<const Step>, auto&& now) { now(); });
  }
  MBConvLayer layer(const Step* s) {
    return s ? MBConvLayer{weight(s->w), weight(s->bias), s->act} : MBConvLayer{};
  }
  void run_scaled_project(Exec& exec, const BlockSteps& b, i64 n, const Moved* moved) {
    const auto& d = std::get<Conv2dDims>(b.project->dims);
    scaled_project(exec, ScaledProjectCallT<T>{.n = n,
                                               .hw = d.h * d.w,
                                               .mid = d.c_in,
                                               .c_out = d.c_out,
                                               .x = at(b.depthwise->y, moved),
                                               .gate = at(b.gate->y, moved),
                                               .project = layer(b.project),
                                               .residual = at(b.project->z, moved),
                                               .y = at(b.project->y, moved)});
  }
  void run_block(Exec& exec, const BlockSteps& b, i64 n, const Moved* moved) {
    const MBConvDims d = b.dims(n);
    const Extent out = depthwise_out(depthwise_of(d));
    mbconv(exec, MBConvCallT<T>{.dims = d,
                                .out_h = out.h,
                                .out_w = out.w,
                                .x = at(b.x, moved),
                                .expand = layer(b.expand),
                                .depthwise = layer(b.depthwise),
                                .reduce = layer(b.reduce),
                                .gate = layer(b.gate),
                                .project = layer(b.project),
                                .residual = at(b.project->z, moved),
                                .y = at(b.project->y, moved)});
  }

  struct Run {
    CardPlan& self;
    Exec& exec;
    const Step& s;
    const Moved* moved;
    const T* x() const { return self.at(s.x, moved); }
    const T* z() const { return self.at(s.z, moved); }
    T* y() const { return self.at(s.y, moved); }
    WeightViewT<float> view(i64 kernel, i64 c_in) const {
      return {self.weight(s.w), kernel * kernel * c_in, kernel * c_in, c_in};
    }

    void operator()(const Conv2dDims& d) const {
      const Extent out = conv2d_out(d);
      conv2d(exec, Conv2dCallT<T>{.dims = d,
                                  .out_h = out.h,
                                  .out_w = out.w,
                                  .x = x(),
                                  .w = view(d.kernel, d.c_in / d.groups),
                                  .bias = self.weight(s.bias),
                                  .residual = z(),
                                  .act = s.act,
                                  .y = y()});
    }
    void operator()(const DepthwiseDims& d) const {
      const Extent out = depthwise_out(d);
      depthwise(exec, DepthwiseCallT<T>{.dims = d,
                                        .out_h = out.h,
                                        .out_w = out.w,
                                        .x = x(),
                                        .w = view(d.kernel, 1),
                                        .bias = self.weight(s.bias),
                                        .act = s.act,
                                        .y = y()});
    }
    void operator()(const GemmDims& d) const {
      gemm(exec, GemmCallT<T>{.dims = d,
                              .a = x(),
                              .a_row = d.k,
                              .a_k = 1,
                              .b = self.weight(s.w),
                              .b_col = d.k,
                              .b_k = 1,
                              .bias = self.weight(s.bias),
                              .residual = z(),
                              .act = s.act,
                              .c = y(),
                              .c_row = d.n});
    }
    void operator()(const PoolDims& d) const {
      const Extent out = pool_out(d);
      pool(exec, PoolCallT<T>{.dims = d, .out_h = out.h, .out_w = out.w, .x = x(), .y = y()});
    }
    void operator()(const GlobalPoolDims& d) const {
      global_avg_pool(exec, GlobalAvgPoolCallT<T>{.dims = d, .x = x(), .y = y()});
    }
    void operator()(const NormDims& d) const {
      norm(exec, NormCallT<T>{.dims = d,
                              .x = x(),
                              .mean = self.weight(s.mean),
                              .var = self.weight(s.var),
                              .gamma = self.weight(s.gamma),
                              .beta = self.weight(s.beta),
                              .eps = s.eps,
                              .act = s.act,
                              .y = y()});
    }
    void operator()(const ActDims& d) const { activate(exec, ActCallT<T>{.dims = d, .x = x(), .y = y()}); }
    void operator()(const BinaryDims& d) const {
      binary(exec, BinaryCallT<T>{.dims = d, .x = x(), .z = z(), .y = y()});
    }
    void operator()(const ResizeDims& d) const {
      resize(exec, ResizeCallT<T>{.dims = d, .x = x(), .y = y()});
    }
    void operator()(const SoftmaxDims& d) const {
      softmax(exec, SoftmaxCallT<T>{.dims = d, .x = x(), .y = y()});
    }
  };

  std::shared_ptr<const Plan> plan_;
  std::vector<StageParts> parts_;
  ArenaLayout layout_;
  std::vector<Tensor> weights_;
  Tensor arena_;
};

}  // namespace offramp::nn
