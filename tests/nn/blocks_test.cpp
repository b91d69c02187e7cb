// Blocks are found where they are, and only where nobody else reads what their steps hand each other.
#include "nn/plan/blocks.h"

#include <gtest/gtest.h>

#include "kernels/mbconv/mbconv.h"
#include "nn/record.h"
#include "tests/nn/sample_network.h"

namespace offramp::nn {
namespace {

Plan sample_plan() {
  EarlyExitNetwork net = testing::sample_network();
  return deployable(net);
}

TEST(PlanBlocks, AreFoundInTheOrderOfTheSteps) {
  const Plan plan = sample_plan();
  i64 blocks = 0, depthwise = 0, squeezing = 0, expanding = 0, residual = 0;
  for (const PlanStage& stage : plan.stages)
    for (const auto* steps : {&stage.body, &stage.head}) {
      size_t next = 0;
      for (const PlanPart& part : parts_of(plan, *steps)) {
        EXPECT_EQ(part.first, next);
        next = part.end;
        if (!part.block) {
          EXPECT_EQ(part.end, part.first + 1);
          continue;
        }
        const BlockSteps& b = *part.block;
        ++blocks;
        expanding += b.expand != nullptr, squeezing += b.gate != nullptr, residual += b.project->z >= 0;
        EXPECT_EQ(b.x, (*steps)[part.first].x);
        EXPECT_EQ(b.project, &(*steps)[part.end - 1]);
        EXPECT_EQ(part.end - part.first, 2u + (b.expand != nullptr) + 4 * (b.gate != nullptr));
        Cost cost{};
        for (size_t i = part.first; i < part.end; ++i) cost += nn::cost((*steps)[i], 3);
        EXPECT_EQ(kernels::mbconv_cost(b.dims(3)).macs, cost.macs);
      }
      EXPECT_EQ(next, steps->size());
      for (const Step& s : *steps) depthwise += std::holds_alternative<kernels::DepthwiseDims>(s.dims);
    }
  EXPECT_EQ(blocks, depthwise - 1);  // one stands alone
  EXPECT_GT(blocks, squeezing);
  EXPECT_GT(squeezing, 0);
  EXPECT_GT(blocks, residual);
  EXPECT_GT(residual, 0);
  EXPECT_GT(expanding, 0);
}

// Every buffer inside of a block that a later step reads too takes the block apart; without its expansion it
// is still one.
TEST(PlanBlocks, AreNoneWhereAResultIsReadElsewhere) {
  const Plan plan = sample_plan();
  const std::vector<Step>& body = plan.stages[1].body;  // with squeeze-excite
  const auto count = [](const Plan& p) {
    i64 blocks = 0;
    for (const PlanPart& part : parts_of(p, p.stages[1].body)) blocks += part.block.has_value();
    return blocks;
  };
  const i64 all = count(plan);
  ASSERT_GT(all, 0);
  for (const PlanPart& part : parts_of(plan, body)) {
    if (!part.block) continue;
    for (size_t i = part.first; i < part.end; ++i) {
      Plan other = plan;
      Step& last = other.stages.back().head.back();
      last.z = body[i].y;
      const bool inside = i + 1 < part.end && &body[i] != part.block->expand;
      EXPECT_EQ(count(other), all - inside) << i;
    }
  }
}

}  // namespace
}  // namespace offramp::nn
