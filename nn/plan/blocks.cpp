#include "nn/plan/blocks.h"

namespace offramp::nn {

using namespace kernels;

namespace {

bool is_pointwise(const Step& s) {
  const auto* d = std::get_if<Conv2dDims>(&s.dims);
  return d && d->kernel == 1 && d->stride == 1 && d->pad == 0 && d->groups == 1;
}
template <class Dims>
bool is(const Step& s) {
  return std::holds_alternative<Dims>(s.dims);
}
bool scales_channels(const Step& s) {
  const auto* d = std::get_if<BinaryDims>(&s.dims);
  return d && d->kind == BinaryKind::mul && (d->broadcast || d->hw == 1);
}

// How often each buffer is read: by steps, and as what a stage ends in.
std::vector<int> reads_of(const Plan& plan) {
  std::vector<int> reads(plan.buffers.size());
  const auto read = [&](int buffer) {
    if (buffer >= 0) ++reads[size_t(buffer)];
  };
  for (const PlanStage& stage : plan.stages) {
    for (const auto* steps : {&stage.body, &stage.head})
      for (const Step& s : *steps) read(s.x), read(s.z);
    read(stage.features), read(stage.logits);
  }
  return reads;
}

// The block of this form that begins with *s.
std::optional<BlockSteps> block_at(const Step* s, bool expands, bool squeezes,
                                   const std::vector<int>& reads) {
  BlockSteps b{.x = s->x};
  if (expands) b.expand = s++;
  b.depthwise = s++;
  const Step* const pool = s;
  if (squeezes) b.reduce = ++s, b.gate = ++s, ++s, ++s;
  const Step* const scale = s - 1;
  b.project = s;

  const auto read = [&](const Step& by, int times) { return reads[size_t(by.y)] == times; };
  const auto hands_on = [&](const Step& from, const Step& to) { return to.x == from.y && read(from, 1); };
  const auto is_layer = [](const Step& step) { return is_pointwise(step) && step.z < 0; };
  if (expands && !(is_layer(*b.expand) && hands_on(*b.expand, *b.depthwise))) return {};
  if (!is<DepthwiseDims>(*b.depthwise) || !is_pointwise(*b.project)) return {};
  if (!squeezes) return hands_on(*b.depthwise, *b.project) ? std::optional(b) : std::nullopt;
  const bool excites = is<GlobalPoolDims>(*pool) && is_layer(*b.reduce) && is_layer(*b.gate) &&
                       scales_channels(*scale) && pool->x == b.depthwise->y && scale->x == b.depthwise->y &&
                       read(*b.depthwise, 2) && hands_on(*pool, *b.reduce) && hands_on(*b.reduce, *b.gate) &&
                       scale->z == b.gate->y && read(*b.gate, 1) && hands_on(*scale, *b.project);
  return excites ? std::optional(b) : std::nullopt;
}

}  // namespace

MBConvDims BlockSteps::dims(i64 n) const {
  const auto& d = std::get<DepthwiseDims>(depthwise->dims);
  return {.n = n,
          .h = d.h,
          .w = d.w,
          .c_in = expand ? std::get<Conv2dDims>(expand->dims).c_in : d.c,
          .mid = d.c,
          .c_out = std::get<Conv2dDims>(project->dims).c_out,
          .kernel = d.kernel,
          .stride = d.stride,
          .pad = d.pad,
          .reduced = reduce ? std::get<Conv2dDims>(reduce->dims).c_out : 0,
          .expands = expand != nullptr};
}

std::vector<PlanPart> parts_of(const Plan& plan, const std::vector<Step>& steps) {
  const std::vector<int> reads = reads_of(plan);
  std::vector<PlanPart> parts;
  for (size_t first = 0; first < steps.size(); first = parts.back().end) {
    PlanPart part{first, first + 1, {}};
    for (const bool expands : {true, false})
      for (const bool squeezes : {true, false}) {
        const size_t end = first + (expands ? 3 : 2) + (squeezes ? 4 : 0);
        if (part.block || end > steps.size()) continue;
        part.block = block_at(&steps[first], expands, squeezes, reads);
        if (part.block) part.end = end;
      }
    parts.push_back(part);
  }
  return parts;
}

}  // namespace offramp::nn
