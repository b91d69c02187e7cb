// What a runner says that a plan needs against what the heap holds.
#include <gtest/gtest.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "nn/plan/early_exit.h"
#include "nn/record.h"
#include "tests/nn/sample_network.h"

namespace offramp::testing {
namespace {

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)

i64 heap_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return i64(info.uordblks + info.hblkhd);
}

std::shared_ptr<const nn::Plan> large_plan() {
  nn::Architecture a = sample_architecture();
  a.height = 56, a.width = 48;
  nn::FreshParameters fresh{Rng(1)};
  nn::EarlyExitNetwork net(a, fresh);
  return std::make_shared<const nn::Plan>(nn::deployable(net));
}

TEST(PlanMemory, AnnouncedIsWhatIsHeldWithinOnePercent) {
  const i64 batch = 64;
  const std::vector<float> images(size_t(batch * 56 * 48 * 3), 0.5f);
  std::vector<nn::Outcome> outcomes(static_cast<size_t>(batch));
  large_plan();  // what the tensors' own cache keeps, it keeps now
  for (int threads : {1, 2}) {
    Exec exec(default_target(), threads);
    const i64 before = heap_bytes();
    std::shared_ptr<const nn::Plan> plan = large_plan();
    nn::EarlyExitRunner runner(plan, default_target(), batch, threads);
    plan.reset();
    runner.run(exec, images.data(), batch, nn::Thresholds(2, 2.0f), {}, outcomes);
    const double held = double(heap_bytes() - before),
                 announced = double(runner.plan_runner().weight_bytes() + runner.plan_runner().arena_bytes());
    EXPECT_NEAR(held / announced, 1, 0.01) << threads << " thread(s): " << held << " of " << announced;
  }
}

#endif

}  // namespace
}  // namespace offramp::testing
