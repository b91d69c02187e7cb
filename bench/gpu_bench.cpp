// Networks on a card, training steps or inference: eager and as a captured graph, against the floor
// (bench/gpu_floor.h) and how far above it they may be.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/bench_main.h"
#include "bench/gpu_floor.h"
#include "bench/gpu_rows.h"
#include "kernels/cuda/timing.h"
#include "kernels/roofline/card_limits.h"
#include "nas/cli/args.h"
#include "nas/cli/context.h"
#include "nas/space/space.h"
#include "nas/train/network_trainer.h"
#include "nas/train/timed_step.h"
#include "nn/network.h"
#include "nn/plan/card_runner.h"
#include "nn/record.h"

namespace offramp::bench {
namespace {

using kernels::CardLimits;

struct Options {
  std::string networks = "min32,mid48,max64,cifar", mode = "train", precision = "bf16";
  i64 batch = 512, runs = 20;
  bool kernels = false;
};

// The reference networks (every exit off) and the largest of `cifar`.
nn::Architecture architecture(const std::string& name) {
  if (name == "cifar") {
    const nas::Space space = nas::Space::load("cifar");
    return space.decode(space.max_genotype(), {.classes = 10, .channels = 3, .height = 32, .width = 32});
  }
  // Genes of the aebnas space: five stages of depth, four kernels, four expansions; thresholds; exits;
  // resolution.
  const int depth = name == "min32"   ? 0
                    : name == "mid48" ? 1
                                      : 2,
            resolution = name == "min32"   ? 0
                         : name == "mid48" ? 4
                                           : 8;
  if (name != "min32" && name != "mid48" && name != "max64")
    throw usage_error("unknown network '" + name + "'");
  std::vector<i32> genes;
  for (int stage = 0; stage < 5; ++stage) {
    genes.push_back(depth);
    genes.insert(genes.end(), 8, depth);
  }
  genes.insert(genes.end(), 4, 2);
  genes.insert(genes.end(), 32, 0);
  genes.push_back(resolution);
  const nas::Space space = nas::Space::load("aebnas");
  return space.decode(space.canonical(genes), {.classes = 10, .channels = 3, .height = 32, .width = 32});
}

struct NetworkTiming {
  std::string network;
  double graph_ms, eager_ms, floor_ms;
  i64 nodes, counted;  // of the graph; kernels in the floor
  double wanted;       // ratio, 0: none

  double ratio() const { return graph_ms / floor_ms; }
  bool within() const { return ratio() <= wanted; }
};

// What `work` launches: its floor, its time launch by launch and as a graph.
NetworkTiming time_launches(cuda::Gpu& gpu, Exec& exec, const CardLimits& card, const std::string& name,
                            const Options& o, const std::function<void()>& work) {
  work();  // takes the memory that it needs
  const Floor floor = floor_of(exec, card, work);
  const cuda::LaunchedTiming t =
      cuda::measure_launches(gpu, work, {.min_runs = o.runs, .max_runs = o.runs, .min_seconds = 0});
  return {.network = name,
          .graph_ms = t.graph.median_us / 1e3,
          .eager_ms = t.eager.median_us / 1e3,
          .floor_ms = floor.us / 1e3,
          .nodes = t.nodes,
          .counted = floor.kernels,
          .wanted = wanted_ratio(name, o.batch)};
}

void print_kernels(cuda::Gpu& gpu, const std::function<void()>& work) {
  cuda::LaunchTimes times;
  gpu.times = &times;
  work();
  gpu.times = nullptr;
  struct Sum {
    double ms = 0;
    i64 count = 0;
  };
  std::map<std::string, Sum> by_op;
  std::vector<std::pair<double, const cuda::LaunchTimes::One*>> slow;
  for (const auto& l : times.launches) {
    const double ms = double(cuda::milliseconds(l.begin, l.end));
    Sum& s = by_op[l.op];
    s.ms += ms;
    ++s.count;
    slow.push_back({ms, &l});
  }
  for (const auto& [op, s] : by_op)
    std::printf("    %-36s %4lld launches %8.3f ms\n", op.c_str(), (long long)s.count, s.ms);
  std::sort(slow.rbegin(), slow.rend());
  for (std::size_t i = 0; i < slow.size() && i < 12; ++i)
    std::printf("    slowest %-32s blocks %6lld %8.1f us\n", slow[i].second->op,
                (long long)slow[i].second->blocks, 1e3 * slow[i].first);
}

std::shared_ptr<const nn::Plan> deployed_plan(const std::string& name) {
  nn::FreshParameters fresh{Rng(1)};
  nn::EarlyExitNetwork network(architecture(name), fresh);
  return std::make_shared<const nn::Plan>(nn::deployable(network));
}

NetworkTiming time_inference(cuda::Gpu& gpu, const CardLimits& card, const std::string& name,
                             const Options& o) {
  Exec exec(gpu, cli::math_named(o.precision));
  const auto plan = deployed_plan(name);
  const auto runner = nn::CardRunner::make(exec, plan, o.batch);
  std::vector<float> images(size_t(o.batch * plan->buffers[0]));
  Rng rng(2);
  for (float& v : images) v = rng.uniform(-1, 1);
  runner->load(exec, images.data(), o.batch);
  gpu.synchronize();
  const nn::Thresholds every_exit_off(nn::exit_costs(*plan).size() - 1);
  const auto work = [&] { runner->forward(exec, o.batch, every_exit_off, {}); };
  const NetworkTiming t = time_launches(gpu, exec, card, name, o, work);
  if (o.kernels) print_kernels(gpu, work);
  return t;
}

NetworkTiming time_training(cuda::Gpu& gpu, const CardLimits& card, const std::string& name,
                            const Options& o) {
  Exec exec(gpu, cli::math_named(o.precision));
  nas::TimedStep step(exec, architecture(name), o.batch);
  const auto work = [&] { step(); };
  const NetworkTiming t = time_launches(gpu, exec, card, name, o, work);
  if (o.kernels) print_kernels(gpu, work);
  return t;
}

nlohmann::ordered_json rows_of(cuda::Gpu& gpu, const std::string& name, const Options& o) {
  Exec exec(gpu, cli::math_named(o.precision));
  return time_rows(exec, *deployed_plan(name), o.batch, o.runs);
}
void print_rows(const std::string& name, const Options& o, const nlohmann::ordered_json& rows) {
  std::printf("rows  %-6s %-4s batch %4lld\n", name.c_str(), o.precision.c_str(), (long long)o.batch);
  for (const auto& r : rows) {
    std::printf("    %-22s %2lld x %-80s", r["row"].get<std::string>().c_str(), r["calls"].get<long long>(),
                r["dims"].get<std::string>().c_str());
    if (r.contains("wrong"))
      std::printf("  WRONG: %.1e away\n", r["wrong"].get<double>());
    else
      std::printf(" %9.2f us %7.2f TFLOP/s%s\n", r["us"].get<double>(), r["tflop_s"].get<double>(),
                  r["selectable"].get<bool>() ? "" : "  (never selected)");
  }
}

nlohmann::ordered_json to_json(const NetworkTiming& t) {
  nlohmann::ordered_json out{{"network", t.network},   {"macs", nas::forward_macs(architecture(t.network))},
                             {"graph_ms", t.graph_ms}, {"eager_ms", t.eager_ms},
                             {"floor_ms", t.floor_ms}, {"ratio", t.ratio()},
                             {"nodes", t.nodes},       {"counted", t.counted}};
  out["wanted_ratio"] = t.wanted > 0 ? nlohmann::ordered_json(t.wanted) : nlohmann::ordered_json(nullptr);
  out["within"] = t.wanted > 0 ? nlohmann::ordered_json(t.within()) : nlohmann::ordered_json(nullptr);
  return out;
}
void print(const NetworkTiming& t, const Options& o) {
  std::printf(
      "%-5s %-6s %-4s batch %4lld: graph %8.3f ms  eager %8.3f ms  floor %7.3f ms of %lld kernels  ratio "
      "%5.2f",
      o.mode.c_str(), t.network.c_str(), o.precision.c_str(), (long long)o.batch, t.graph_ms, t.eager_ms,
      t.floor_ms, (long long)t.counted, t.ratio());
  if (t.wanted > 0) std::printf(" (wanted %.1f: %s)", t.wanted, t.within() ? "within" : "MISSED");
  std::printf("  nodes %lld  %.0f images/s\n", (long long)t.nodes, 1e3 * double(o.batch) / t.graph_ms);
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  cli::Args args(console, "gpu_bench", "networks on a card against their floor",
                 {"gpu_bench --kernels", "gpu_bench --networks min32 --mode infer --batch 1 --json"});
  args.option("--networks LIST", o.networks, "of min32, mid48, max64, cifar (default: all)")
      .choice("--mode M", o.mode, {"train", "infer", "rows"},
              "training steps (default); inference, no exit taken; or every row that takes a convolution or "
              "product of the network, libraries' too where built in")
      .choice("--precision P", o.precision, {"bf16", "tf32", "f32"}, "default bf16")
      .option("--batch B", o.batch, "images computed together (default 512)", 1, 65536)
      .option("--runs N", o.runs, "timed repetitions (default 20)", 1, 10000)
      .flag("--kernels", o.kernels, "time of every kind of kernel, launch by launch");
  if (!args.parse(words)) return 0;
  if (!cuda::Gpu::present()) throw Error("gpu_bench: no CUDA card on this machine: nothing measured");
  cuda::Gpu& gpu = cuda::Gpu::instance();
  const CardLimits card = kernels::measure_card(gpu, cli::math_named(o.precision));
  const bool json = console.options.json;
  if (json && o.kernels) throw usage_error("gpu_bench: --kernels is printed as text only");
  if (!json)
    std::printf("%s: copy %.0f GB/s, %s products %.0f TFLOP/s, empty graph node %.2f us\n",
                gpu.properties().name.c_str(), card.copy_gb_s, o.precision.c_str(), card.product_tflop_s,
                card.node_us);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  i64 wrong = 0;
  for (std::size_t at = 0; at < o.networks.size();) {
    const std::size_t end = std::min(o.networks.find(',', at), o.networks.size());
    const std::string name = o.networks.substr(at, end - at);
    at = end + 1;
    if (o.mode == "rows") {
      list.push_back({{"network", name}, {"rows", rows_of(gpu, name, o)}});
      for (const auto& row : list.back()["rows"]) wrong += row.contains("wrong");
      if (!json) print_rows(name, o, list.back()["rows"]);
      continue;
    }
    const NetworkTiming t =
        o.mode == "train" ? time_training(gpu, card, name, o) : time_inference(gpu, card, name, o);
    list.push_back(to_json(t));
    if (!json) print(t, o);
    std::fflush(stdout);
  }
  if (json)
    console.print_json({{"card", gpu.properties().name},
                        {"mode", o.mode},
                        {"precision", o.precision},
                        {"batch", o.batch},
                        {"copy_gb_s", card.copy_gb_s},
                        {"product_tflop_s", card.product_tflop_s},
                        {"node_us", card.node_us},
                        {"networks", list}});
  if (wrong > 0)
    throw Error("gpu_bench: " + std::to_string(wrong) + " results disagree with the row that is selected",
                Error::Kind::verification);
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("gpu_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
