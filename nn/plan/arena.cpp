#include "nn/plan/arena.h"

#include <algorithm>
#include <numeric>

namespace offramp::nn {
namespace {

struct Life {
  i64 birth = -1, death = -1;  // positions in the order of execution, both inclusive
  bool meets(const Life& o) const { return birth <= o.death && o.birth <= death; }
};

std::vector<Life> lifetimes(const Plan& plan) {
  std::vector<Life> life(plan.buffers.size());
  i64 now = 0;
  const auto walk = [&](const std::vector<Step>& steps) {
    for (const Step& s : steps) {
      for (int read : {s.x, s.z})
        if (read >= 0) life[size_t(read)].death = now;
      life[size_t(s.y)] = {now, now};
      ++now;
    }
  };
  for (const PlanStage& stage : plan.stages) {
    walk(stage.body);
    walk(stage.head);
    Life& features = life[size_t(stage.features)];
    features.death = std::max(features.death, now);
  }
  return life;
}

}  // namespace

ArenaLayout lay_out(const Plan& plan, i64 batch) {
  constexpr i64 kLine = 16;  // floats in 64 bytes
  const std::vector<Life> life = lifetimes(plan);
  std::vector<i64> size(plan.buffers.size());
  for (size_t b = 0; b < size.size(); ++b) size[b] = (plan.buffers[b] * batch + kLine - 1) / kLine * kLine;

  std::vector<size_t> order(size.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return size[a] > size[b]; });

  ArenaLayout layout{.offsets = std::vector<i64>(size.size(), -1)};
  std::vector<size_t> placed;  // by offset
  for (size_t b : order) {
    i64 offset = 0;
    for (size_t other : placed) {
      if (!life[b].meets(life[other])) continue;
      if (offset + size[b] <= layout.offsets[other]) break;
      offset = std::max(offset, layout.offsets[other] + size[other]);
    }
    layout.offsets[b] = offset;
    layout.floats = std::max(layout.floats, offset + size[b]);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), b,
                                   [&](size_t p, size_t q) { return layout.offsets[p] < layout.offsets[q]; }),
                  b);
  }
  return layout;
}

}  // namespace offramp::nn
