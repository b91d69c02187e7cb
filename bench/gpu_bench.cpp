// Training steps on a card: eager and as a captured graph, against the floor: the sum over the step's kernel
// calls of the largest of bytes / copy bandwidth, arithmetic / tensor rate and the time of an empty graph
// node.
#include <cstdio>
#include <map>
#include <optional>

#include "bench/bench_main.h"
#include "bench/gpu_probe.h"
#include "kernels/recorder.h"
#include "nas/cli/args.h"
#include "nas/space/space.h"
#include "nn/loss.h"
#include "nn/network.h"
#include "nn/optim/card_update.h"

namespace offramp::bench {
namespace {

struct Options {
  std::string networks = "min32,mid48,max64,cifar", precision = "bf16";
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

// Bytes and arithmetic that a call declares, as the card moves them: activations of half the size in bf16.
double floor_us(const Recorder& recorder, const CardLimits& card, bool bf16) {
  double us = 0;
  for (const RecordedCall& call : recorder.calls) {
    const double bytes = double(call.cost.bytes_read + call.cost.bytes_written) * (bf16 ? 0.5 : 1.0);
    us += std::max(
        {1e-3 * bytes / card.copy_gb_s, 2e-6 * double(call.cost.macs) / card.tensor_tflop_s, card.node_us});
  }
  return us;
}

void time_training(cuda::Gpu& gpu, const CardLimits& card, const std::string& name, const Options& o) {
  const cuda::Math math = o.precision == "f32"    ? cuda::Math::f32
                          : o.precision == "tf32" ? cuda::Math::tf32
                                                  : cuda::Math::bf16;
  Exec exec(gpu, math);
  nn::FreshParameters fresh{Rng(1)};
  nn::ParametersOn source(Device::cuda, fresh);
  const nn::Architecture arch = architecture(name);
  nn::EarlyExitNetwork network(arch, source);
  nn::Sgd optimizer(network.named_parameters(), {.weight_decay = 4e-5});
  nn::CardUpdate update(exec, optimizer, nullptr, 5);
  Tensor images = Tensor::empty({o.batch, arch.height, arch.width, arch.channels}),
         labels = Tensor::empty({o.batch}, DType::i64);
  Rng rng(2);
  for (float& v : images.values<float>()) v = rng.uniform(-1, 1);
  for (i64& v : labels.values<i64>()) v = rng.below(10);
  images = images.to(Device::cuda);
  if (math == cuda::Math::bf16) images = images.to(DType::bf16);
  labels = labels.to(Device::cuda);
  update.set_step(0.01);
  const auto step = [&] {
    optimizer.zero_grad();
    const Variable loss =
        nn::exit_loss(exec, network.forward(exec, Variable(images), nn::Mode::train), labels);
    backward(exec, loss);
    update.step(loss.value());
  };
  Recorder recorder;
  exec.recorder = &recorder;
  step();
  exec.recorder = nullptr;
  const double floor = floor_us(recorder, card, math == cuda::Math::bf16) / 1e3;
  const double eager = median_ms(gpu, 3, int(o.runs), step);
  double replayed = 0;
  i64 nodes = 0;
  {
    cuda::Graph graph(gpu, step);
    nodes = graph.nodes();
    replayed = median_ms(gpu, 3, int(o.runs), [&] { graph.launch(); });
    optimizer.zero_grad();
  }
  const nn::CardUpdate::Sums sums = update.read();
  std::printf(
      "train %-6s %-4s batch %4lld: graph %8.3f ms  eager %8.3f ms  floor %7.3f ms  ratio %5.2f  nodes %lld  "
      "calls %zu  %.0f images/s  loss %.3f\n",
      name.c_str(), o.precision.c_str(), (long long)o.batch, replayed, eager, floor, replayed / floor,
      (long long)nodes, recorder.calls.size(), 1e3 * double(o.batch) / replayed, sums.loss / sums.steps);
  if (!o.kernels) return;
  cuda::LaunchTimes times;
  gpu.times = &times;
  step();
  gpu.times = nullptr;
  struct Sum {
    double ms = 0;
    i64 count = 0;
  };
  std::map<std::string, Sum> by_op;
  for (const auto& l : times.launches) {
    Sum& s = by_op[l.op];
    s.ms += double(cuda::milliseconds(l.begin, l.end));
    ++s.count;
  }
  for (const auto& [op, s] : by_op)
    std::printf("    %-36s %4lld launches %8.3f ms\n", op.c_str(), (long long)s.count, s.ms);
  std::vector<std::pair<double, const cuda::LaunchTimes::One*>> slow;
  for (const auto& l : times.launches) slow.push_back({double(cuda::milliseconds(l.begin, l.end)), &l});
  std::sort(slow.rbegin(), slow.rend());
  for (std::size_t i = 0; i < slow.size() && i < 12; ++i)
    std::printf("    slowest %-32s blocks %6lld %8.1f us\n", slow[i].second->op,
                (long long)slow[i].second->blocks, 1e3 * slow[i].first);
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  cli::Args args(console, "gpu_bench", "training steps on a card against their floor",
                 {"gpu_bench --kernels"});
  args.option("--networks LIST", o.networks, "of min32, mid48, max64, cifar (default: all)")
      .option("--precision P", o.precision, "bf16 (default), tf32, f32")
      .option("--batch B", o.batch, "images of a step (default 512)", 1, 65536)
      .option("--runs N", o.runs, "timed repetitions (default 20)", 1, 10000)
      .flag("--kernels", o.kernels, "time of every kind of kernel in an eager step");
  if (!args.parse(words)) return 0;
  if (!cuda::Gpu::present()) {
    std::printf("no CUDA card on this machine: nothing measured\n");
    return 0;
  }
  cuda::Gpu& gpu = cuda::Gpu::instance();
  const CardLimits card = measure_card(gpu);
  std::printf("%s: copy %.0f GB/s, bf16 products %.0f TFLOP/s, empty graph node %.2f us\n",
              gpu.properties().name.c_str(), card.copy_gb_s, card.tensor_tflop_s, card.node_us);
  for (std::size_t at = 0; at < o.networks.size();) {
    const std::size_t end = std::min(o.networks.find(',', at), o.networks.size());
    time_training(gpu, card, o.networks.substr(at, end - at), o);
    std::fflush(stdout);
    at = end + 1;
  }
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
