// Batch tiling: every step once, only what lives inside a segment is kept by group, and the areas do not
// overlap.
#include "nn/plan/tiling.h"

#include <gtest/gtest.h>

#include "nn/plan/arena.h"
#include "nn/record.h"
#include "tests/nn/sample_network.h"

namespace offramp {
namespace {

using namespace offramp::testing;

TEST(Tiling, CoversEveryStepOnceAndKeepsWhatCrosses) {
  nn::EarlyExitNetwork net = sample_network();
  const nn::Plan plan = nn::deployable(net);
  const nn::Tiling tiling = nn::tile(plan);
  ASSERT_EQ(tiling.bodies.size(), plan.stages.size());
  ASSERT_EQ(tiling.heads.size(), plan.stages.size());
  std::vector<int> written(plan.buffers.size(), -1);
  int segment_number = 0;
  const auto check = [&](const std::vector<nn::Step>& steps, const std::vector<nn::Segment>& segments) {
    size_t next = 0;
    for (const nn::Segment& s : segments) {
      EXPECT_EQ(s.first, next);
      EXPECT_GT(s.end, s.first);
      EXPECT_GE(s.group, 1);
      for (size_t i = s.first; i < s.end; ++i) {
        for (int read : {steps[i].x, steps[i].z})
          if (read >= 0 && tiling.inside[size_t(read)]) {
            EXPECT_EQ(written[size_t(read)], segment_number) << "buffer " << read;
          }
        written[size_t(steps[i].y)] = segment_number;
      }
      next = s.end;
      ++segment_number;
    }
    EXPECT_EQ(next, steps.size());
  };
  for (size_t s = 0; s < plan.stages.size(); ++s) {
    check(plan.stages[s].body, tiling.bodies[s]);
    check(plan.stages[s].head, tiling.heads[s]);
    EXPECT_FALSE(tiling.inside[size_t(plan.stages[s].features)]);
    if (plan.stages[s].has_exit()) {
      EXPECT_FALSE(tiling.inside[size_t(plan.stages[s].logits)]);
    }
  }
  EXPECT_FALSE(tiling.inside[0]);
}

TEST(Tiling, GroupsCoverTheBatchEvenly) {
  for (i64 n : {1, 7, 32, 33, 64, 100})
    for (i64 group : {1, 3, 8, 32}) {
      const i64 groups = nn::group_count(n, group);
      i64 smallest = n, largest = 0;
      for (i64 i = 0; i < groups; ++i) {
        const i64 size = nn::group_begin(n, groups, i + 1) - nn::group_begin(n, groups, i);
        smallest = std::min(smallest, size);
        largest = std::max(largest, size);
      }
      EXPECT_EQ(nn::group_begin(n, groups, 0), 0);
      EXPECT_EQ(nn::group_begin(n, groups, groups), n);
      EXPECT_LE(largest, group);
      EXPECT_LE(largest - smallest, 1);
    }
}

// A step's operands and result never share memory, whichever areas they lie in.
TEST(Tiling, OperandsAndResultsLieApart) {
  nn::EarlyExitNetwork net = sample_network();
  const nn::Plan plan = nn::deployable(net);
  const nn::Tiling tiling = nn::tile(plan);
  for (i64 batch : {1, 5, 64}) {
    const nn::ArenaLayout layout = nn::lay_out(plan, tiling, batch);
    const auto check = [&](const std::vector<nn::Step>& steps, const std::vector<nn::Segment>& segments) {
      for (const nn::Segment& s : segments)
        for (size_t i = s.first; i < s.end; ++i)
          for (int read : {steps[i].x, steps[i].z}) {
            if (read < 0) continue;
            const size_t x = size_t(read), y = size_t(steps[i].y);
            if (tiling.inside[x] != tiling.inside[y]) continue;  // different areas
            const i64 images = tiling.inside[x] ? std::min(s.group, batch) : batch;
            const i64 x_end = layout.offsets[x] + images * plan.buffers[x],
                      y_end = layout.offsets[y] + images * plan.buffers[y];
            EXPECT_TRUE(x_end <= layout.offsets[y] || y_end <= layout.offsets[x]) << "step " << i;
            EXPECT_LE(std::max(x_end, y_end), tiling.inside[x] ? layout.worker_floats : layout.shared_floats);
          }
    };
    for (size_t s = 0; s < plan.stages.size(); ++s) {
      check(plan.stages[s].body, tiling.bodies[s]);
      check(plan.stages[s].head, tiling.heads[s]);
    }
  }
}

}  // namespace
}  // namespace offramp
