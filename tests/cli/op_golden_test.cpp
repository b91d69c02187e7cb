// `offramp op` against values that PyTorch computed in float64 (tests/golden/check_op.py --write), on every
// target that runs here. The tolerance of each output is derived there; outputs of small integers have
// tolerance 0.
#include <cmath>

#include "kernels/cuda/built.h"
#include "kernels/cuda/gpu.h"
#include "kernels/target.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"
#include "tests/cli/shell.h"
#include "tests/support/targets.h"

namespace offramp::testing {
namespace {

void expect_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const Tensor a = got.to(DType::f64), b = want.to(DType::f64);
  for (i64 i = 0; i < a.count(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    ASSERT_TRUE(std::fabs(x - y) <= tolerance) << what << " element " << i << ": got " << x << ", want " << y;
  }
}

// Targets of this CPU, and the card where there is one.
std::vector<std::string> places() {
  std::vector<std::string> names;
  for (const Target t : runnable_targets()) names.emplace_back(target_name(t));
  if constexpr (cuda::kBuilt)
    if (cuda::Gpu::present()) names.push_back("cuda");
  return names;
}

TEST(OpGolden, ForwardAndGradientsOnEveryTarget) {
  const SafeTensors golden = read_safetensors(OFFRAMP_SOURCE_DIR "/tests/golden/op.safetensors");
  const auto cases = nlohmann::json::parse(golden.metadata.at("cases"));
  ASSERT_GE(cases.size(), 40u);
  int compared = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto& one = cases[i];
    const std::string key = std::to_string(i) + ".", op = one["op"];
    const TempDir dir;
    for (const bool in_double : {false, true}) {
      std::string words = "op " + op + " -q --threads 1 --out-dir " + dir / "out";
      auto give = [&](const std::string& flag, const std::string& name, const Tensor& t) {
        write_npy(dir / (name + ".npy"), in_double && t.dtype() == DType::f32 ? t.to(DType::f64) : t);
        words += flag + dir / (name + ".npy");
      };
      for (const std::string name : one["inputs"])
        give(" --in " + name + "=", name, golden.tensors.at(key + name));
      for (const auto& [name, value] : one["attrs"].items()) words += " --attr " + name + "=" + value.dump();
      give(" --grad ", "upstream", golden.tensors.at(key + "gy"));
      for (const std::string& target : in_double ? std::vector<std::string>{"portable"} : places()) {
        const std::string where =
            "case " + std::to_string(i) + " " + op + " " + target + (in_double ? " f64 " : " ");
        const Ran ran = target == "cuda" ? offramp_run(words + " --device cuda")
                                         : sh("OFFRAMP_TARGET=" + target + " \"$offramp\" " + words);
        ASSERT_EQ(ran.code, 0) << where << ran.err;
        for (const auto& [name, tolerance] : one["outputs"].items()) {
          const Tensor got = read_npy(dir / ("out/" + name + ".npy"));
          ASSERT_EQ(got.dtype(), in_double ? DType::f64 : DType::f32);
          expect_close(got, golden.tensors.at(key + "want." + name), tolerance, where + name);
          ++compared;
        }
      }
    }
  }
  EXPECT_GE(compared, 200);
}

}  // namespace
}  // namespace offramp::testing
