// offramp profile on a card: what it prints adds up and agrees with the plan; the stopwatch beneath it.
#include <nlohmann/json.hpp>

#include "kernels/cuda/timing.h"
#include "kernels/error.h"
#include "nas/cli/verb.h"
#include "nas/space/space.h"
#include "nn/record.h"
#include "tests/support/device.h"

namespace offramp {
namespace {

using Json = nlohmann::json;

std::string genotype() { return nas::to_text(nas::Space::load("small").min_genotype()); }

Json profile(const cli::Words& more) {
  cli::Words words{"--json", "--device", "cuda", "--space", "small", "--genotype", genotype()};
  words.insert(words.end(), more.begin(), more.end());
  ::testing::internal::CaptureStdout();
  {
    cli::Console console;
    cli::run_profile(console, words);
    console.flush();
  }
  const std::string out = ::testing::internal::GetCapturedStdout();
  const Json json = Json::parse(out, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << out;
  return json;
}

void expect_timing(const Json& timing) {
  EXPECT_GT(double(timing["median"]), 0);
  EXPECT_LE(double(timing["p10"]), double(timing["median"]));
  EXPECT_LE(double(timing["median"]), double(timing["p90"]));
  EXPECT_GE(i64(timing["runs"]), 5);
}

TEST(CudaProfile, EveryCallOfThePlanHasItsTime) {
  OFFRAMP_NEEDS_CARD();
  const nas::Space space = nas::Space::load("small");
  nn::MetaParameters none;
  nn::EarlyExitNetwork network(space.decode(space.min_genotype(), {.classes = 10, .channels = 3}), none);
  const nn::Plan plan = nn::deployable(network);
  const auto exits = nn::exit_costs(plan);
  i64 bytes_of_floats = 0;
  for (const std::string precision : {"f32", "tf32", "bf16"}) {
    const Json p = profile({"--batch", "2", "--precision", precision});
    EXPECT_EQ(p["schema_version"], 1);
    EXPECT_EQ(p["device"], "cuda");
    EXPECT_EQ(p["target"], "cuda");
    EXPECT_EQ(p["precision"], precision);
    EXPECT_EQ(p["batch"], 2);
    EXPECT_EQ(p["card"], cuda::Gpu::instance().properties().name);
    expect_timing(p["latency_us"]);
    expect_timing(p["eager_us"]);
    EXPECT_EQ(i64(p["macs"]), 2 * exits.back().leave_macs);
    const Json& memory = p["memory_bytes"];
    EXPECT_EQ(i64(memory["weights"]), 4 * plan.params());
    EXPECT_EQ(i64(memory["peak"]), i64(memory["weights"]) + i64(memory["arena"]));
    EXPECT_GE(i64(p["graph_nodes"]), i64(p["calls"].size()));
    i64 macs = 0, bytes = 0;
    double share = 0;
    for (const Json& call : p["calls"]) {
      macs += i64(call["macs"]);
      bytes += i64(call["bytes"]);
      share += double(call["share"]);
      EXPECT_GT(double(call["us"]), 0);
      EXPECT_GT(double(call["roofline"]), 0);
    }
    EXPECT_EQ(macs, i64(p["macs"]));
    EXPECT_NEAR(share, 1, 1e-9);
    // Activations take half the room in bf16, parameters do not.
    if (precision == "f32") {
      bytes_of_floats = bytes;
    } else if (precision == "tf32") {
      EXPECT_EQ(bytes, bytes_of_floats);
    } else {
      EXPECT_LT(bytes, bytes_of_floats);
      EXPECT_GT(2 * bytes, bytes_of_floats);
    }
  }
  EXPECT_EQ(i64(profile({"--exit", "0"})["macs"]), exits[0].leave_macs);
}

TEST(CudaProfile, ATrainingStepIsCaptured) {
  OFFRAMP_NEEDS_CARD();
  const Json p = profile({"--train", "--batch", "4", "--precision", "bf16"});
  expect_timing(p["step_ms"]);
  expect_timing(p["eager_ms"]);
  EXPECT_EQ(p["device"], "cuda");
  EXPECT_EQ(p["precision"], "bf16");
  EXPECT_GT(i64(p["graph_nodes"]), 50);
  EXPECT_NEAR(double(p["images_per_s"]), 4e3 / double(p["step_ms"]["median"]),
              1e-6 * double(p["images_per_s"]));
}

TEST(CudaProfile, AnExitThatIsNotThereIsRefused) {
  OFFRAMP_NEEDS_CARD();
  cli::Console console;
  EXPECT_THROW(cli::run_profile(console, {"--device", "cuda", "--space", "small", "--genotype", genotype(),
                                          "--exit", "9"}),
               Error);
}

TEST(CudaTiming, CountsRunsAndTellsWorkFromNone) {
  OFFRAMP_NEEDS_CARD();
  auto& gpu = cuda::Gpu::instance();
  constexpr i64 kCount = i64{1} << 24;
  testing::DeviceArray<float> from(kCount), to(kCount);
  int calls = 0;
  const auto copies = [&](int times) {
    return [&, times] {
      ++calls;
      for (int i = 0; i < times; ++i) cuda::copy(gpu.stream(), to.data(), from.data(), kCount * 4);
    };
  };
  const TimingOptions options{.warm_up = 2, .min_runs = 7, .max_runs = 7, .min_seconds = 0};
  const Timing few = cuda::measure(gpu, copies(1), options);
  EXPECT_EQ(calls, 9);
  EXPECT_EQ(few.runs, 7);
  EXPECT_GT(few.min_us, 0);
  const cuda::LaunchedTiming many = cuda::measure_launches(gpu, copies(10), options);
  EXPECT_GE(many.nodes, 10);
  // Ten times the work, in its best run, whatever else the machine does.
  EXPECT_GT(many.eager.median_us, 2 * few.min_us);
  EXPECT_GT(many.graph.median_us, 2 * few.min_us);
}

}  // namespace
}  // namespace offramp
