#include "nn/plan/arena.h"

#include <algorithm>
#include <numeric>

namespace offramp::nn {
namespace {

constexpr i64 kLine = 16;  // floats in 64 bytes
// Between neighbours, so that buffers of sizes that are powers of two do not start in the same sets of the
// cache.
constexpr i64 kStagger = 5 * kLine;

struct Life {
  i64 birth = -1, death = -1;  // positions in the order of execution, both inclusive
  bool meets(const Life& o) const { return birth <= o.death && o.birth <= death; }
};

struct Block {
  size_t buffer;
  i64 floats;
  Life life;
};

// Places the blocks, largest first, each at the lowest offset where it meets nobody; returns the size of the
// area.
i64 place(std::vector<Block> blocks, std::vector<i64>& offsets) {
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.floats > b.floats; });
  i64 size = 0;
  std::vector<const Block*> placed;  // by offset
  for (const Block& b : blocks) {
    i64 offset = 0;
    for (const Block* other : placed) {
      if (!b.life.meets(other->life)) continue;
      if (offset + b.floats <= offsets[other->buffer]) break;
      offset = std::max(offset, offsets[other->buffer] + other->floats);
    }
    offsets[b.buffer] = offset;
    size = std::max(size, offset + b.floats);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &b,
                                   [&](const Block* p, const Block* q) {
                                     return offsets[p->buffer] < offsets[q->buffer];
                                   }),
                  &b);
  }
  return size;
}

}  // namespace

ArenaLayout lay_out(const Plan& plan, const Tiling& tiling, i64 batch) {
  ArenaLayout layout{.offsets = std::vector<i64>(plan.buffers.size(), -1)};
  const auto block = [&](size_t buffer, i64 images, Life life) {
    const i64 floats = (plan.buffers[buffer] * images + kLine - 1) / kLine * kLine + kStagger;
    return Block{buffer, floats, life};
  };

  // Between segments time counts in segments: every group reads and writes while one runs.
  std::vector<Life> life(plan.buffers.size());
  life[0] = {0, 0};
  i64 now = 0;
  const auto walk = [&](const std::vector<Step>& steps, const std::vector<Segment>& segments) {
    for (const Segment& segment : segments) {
      std::vector<Life> inner(plan.buffers.size());
      for (size_t i = segment.first; i < segment.end; ++i) {
        const Step& s = steps[i];
        for (int read : {s.x, s.z})
          if (read >= 0) inner[size_t(read)].death = i64(i), life[size_t(read)].death = now;
        inner[size_t(s.y)] = {i64(i), i64(i)};
        life[size_t(s.y)] = {now, now};
      }
      std::vector<Block> blocks;
      for (size_t i = segment.first; i < segment.end; ++i)
        if (const size_t y = size_t(steps[i].y); tiling.inside[y])
          blocks.push_back(block(y, std::min(segment.group, batch), inner[y]));
      layout.worker_floats = std::max(layout.worker_floats, place(std::move(blocks), layout.offsets));
      ++now;
    }
  };
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    const PlanStage& stage = plan.stages[s];
    walk(stage.body, tiling.bodies[s]);
    walk(stage.head, tiling.heads[s]);
    Life& features = life[size_t(stage.features)];
    features.death = std::max(features.death, now);
  }
  std::vector<Block> blocks;
  for (size_t b = 0; b < plan.buffers.size(); ++b)
    if (!tiling.inside[b]) blocks.push_back(block(b, batch, life[b]));
  layout.shared_floats = place(std::move(blocks), layout.offsets);
  return layout;
}

}  // namespace offramp::nn
