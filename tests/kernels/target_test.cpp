#include "kernels/target.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/exec.h"
#include "tests/support/error_kind.h"
#include "tests/support/targets.h"

namespace offramp {
namespace {

// OFFRAMP_TARGET for one scope; what was there before comes back.
class ForcedTarget {
 public:
  explicit ForcedTarget(const char* value) {
    if (const char* old = std::getenv(kName)) old_ = old, was_set_ = true;
    value ? ::setenv(kName, value, 1) : ::unsetenv(kName);
  }
  ~ForcedTarget() { was_set_ ? ::setenv(kName, old_.c_str(), 1) : ::unsetenv(kName); }

 private:
  static constexpr const char* kName = "OFFRAMP_TARGET";
  std::string old_;
  bool was_set_ = false;
};

TEST(Target, NamesGoBothWays) {
  for (const Target t : built_targets()) EXPECT_EQ(parse_target(target_name(t)), t);
  const auto unknown = testing::thrown_by([] { parse_target("avx3"); });
  EXPECT_EQ(unknown.kind, Error::Kind::usage);
  EXPECT_NE(unknown.message.find("avx3"), std::string::npos);
}

TEST(Target, PortableAlwaysRuns) {
  EXPECT_TRUE(cpu_supports(Target::portable));
  EXPECT_EQ(testing::runnable_targets().front(), Target::portable);
}

#if defined(__x86_64__) && defined(__GNUC__)
TEST(Target, AgreesWithTheCompilersDetection) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  EXPECT_EQ(cpu_supports(Target::avx2), avx2);
  EXPECT_EQ(cpu_supports(Target::avx512),
            avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
}
#endif

TEST(Target, DefaultIsTheWidestOfThisCpu) {
  const ForcedTarget none(nullptr);
  EXPECT_EQ(default_target(), testing::runnable_targets().back());
  const ForcedTarget empty("");
  EXPECT_EQ(default_target(), testing::runnable_targets().back());
}

TEST(Target, EnvironmentForcesIt) {
  for (const Target t : testing::runnable_targets()) {
    const ForcedTarget forced(std::string(target_name(t)).c_str());
    EXPECT_EQ(default_target(), t);
    EXPECT_EQ(Exec().target(), t);
  }
  const ForcedTarget nonsense("sse9");
  EXPECT_EQ(testing::kind_of([] { default_target(); }), Error::Kind::usage);
}

TEST(Target, ExecRefusesWhatCannotRunUnlessItOnlyRecords) {
  for (const Target t : built_targets()) {
    EXPECT_NO_THROW(Exec(t, 1, true));
    if (cpu_supports(t))
      EXPECT_NO_THROW(Exec(t, 1));
    else
      EXPECT_EQ(testing::kind_of([&] { Exec(t, 1); }), Error::Kind::usage);
  }
}

}  // namespace
}  // namespace offramp
