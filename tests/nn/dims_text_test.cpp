// The text form of steps: there and back, and what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "nn/plan/dims_fields.h"
#include "nn/record.h"
#include "tests/nn/sample_network.h"
#include "tests/support/error_kind.h"

namespace offramp {
namespace {

using nn::parse_dims;

TEST(DimsText, ReadsBackEveryStepOfANetwork) {
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork net(testing::sample_architecture(), weightless);
  std::set<std::string_view> seen;
  for (const nn::PlanStage& stage : nn::record(net).stages)
    for (const auto* steps : {&stage.body, &stage.head})
      for (const nn::Step& step : *steps) {
        for (i64 n : {1, 5}) {
          const nn::StepDims dims = nn::at_batch(step.dims, n);
          EXPECT_TRUE(parse_dims(nn::dims_text(dims)) == dims) << nn::dims_text(dims);
        }
        seen.insert(nn::op_name(step.dims));
      }
  for (std::string_view op : nn::kOpNames) EXPECT_TRUE(seen.count(op) || op == "softmax") << op;
}

TEST(DimsText, ReadsFieldsIntoTheirPlace) {
  const nn::StepDims dims = parse_dims("  pool kind=1 n=2 h=9 w=8\tc=7 kernel=3 stride=2 pad=1 \r");
  const kernels::PoolDims want{
      .n = 2, .h = 9, .w = 8, .c = 7, .kernel = 3, .stride = 2, .pad = 1, .kind = kernels::PoolKind::avg};
  EXPECT_TRUE(std::get<kernels::PoolDims>(dims) == want);
  EXPECT_EQ(nn::dims_text(dims), "pool n=2 h=9 w=8 c=7 kernel=3 stride=2 pad=1 kind=1");
  EXPECT_TRUE(std::get<kernels::SoftmaxDims>(parse_dims("softmax rows=3 classes=10 log=1")).log);
  EXPECT_EQ(std::get<kernels::ActDims>(parse_dims("act count=4 act=5")).act, Act::sigmoid);
}

TEST(DimsText, ReadsTheShapesOfTheBenchmarks) {
  i64 lines = 0;
  std::set<std::string_view> ops;
  for (const auto& entry : std::filesystem::directory_iterator(OFFRAMP_SOURCE_DIR "/bench/shapes")) {
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("#") || line.starts_with("update ")) continue;
      nn::StepDims dims;
      ASSERT_NO_THROW(dims = parse_dims(line)) << entry.path() << ": " << line;
      EXPECT_EQ(nn::dims_text(dims), line);
      ops.insert(nn::op_name(dims));
      ++lines;
    }
  }
  EXPECT_GT(lines, 300);
  EXPECT_EQ(ops.size(), std::size(nn::kOpNames));
}

TEST(DimsText, RefusesWhatIsWrongAndSaysWhat) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "empty line"},
      {"   ", "empty line"},
      {"convd m=1", "did you mean 'conv2d'"},
      {"gemm m=1 n=2", "'k' is missing"},
      {"gemm m=1 n=2 k=3 q=4", "no field 'q'"},
      {"gemm m=1 n=2 k=3 k=3", "'k' is given twice"},
      {"gemm m=1 n=2 k", "'k' is not name=number"},
      {"gemm m=1 n=2 k=", "'' is not an integer"},
      {"gemm m=1 n=2 k=3x", "'3x' is not an integer"},
      {"gemm m=1 n=2 k=99999999999999999999", "is not an integer"},
      {"gemm m=1 n=2 k=-3", "'k' is out of range"},
      {"gemm m=1 n=2 k=0", "extent"},
      {"gemm m=60000 n=60000 k=1", "extent"},
      {"act count=4 act=6", "'act' is out of range"},
      {"softmax rows=3 classes=10 log=2", "'log' is out of range"},
      {"pool n=1 h=9 w=9 c=1 kernel=3 stride=2 pad=1 kind=2", "'kind' is out of range"},
      {"conv2d n=1 h=4 w=4 c_in=3 c_out=4 kernel=3 stride=1 pad=1 groups=2", "groups"},
      {"depthwise n=1 h=2 w=2 c=3 kernel=5 stride=1 pad=1", "kernel"},
  };
  for (const auto& [text, word] : cases) {
    const testing::Thrown thrown = testing::thrown_by([&] { parse_dims(text); });
    ASSERT_EQ(thrown.kind, Error::Kind::input) << text << ": " << thrown.message;
    EXPECT_NE(thrown.message.find(word), std::string::npos) << thrown.message;
  }
}

}  // namespace
}  // namespace offramp
