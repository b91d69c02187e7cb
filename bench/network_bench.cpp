// A whole network in the form that is deployed, held ready to be timed in short turns with other programs:
// commands come on stdin, one a line, and each is answered by one line on stdout.
//   time MS            runs for about MS milliseconds; answers the median of one run in microseconds
//   logits IN OUT      .npy files: float32 images [n,height,width,channels], any n -> logits
//   [n,exits,classes]
#include <algorithm>
#include <iostream>
#include <sstream>

#include "bench/bench_main.h"
#include "kernels/timing.h"
#include "nas/cli/args.h"
#include "nas/space/space.h"
#include "nn/network.h"
#include "nn/plan/model.h"
#include "nn/record.h"
#include "tensor/npy.h"

namespace offramp::bench {
namespace {

struct Options {
  std::string model, space, genotype, save;
  i64 batch = 1, channels = 3, classes = 10;
  int threads = 1;
};

nn::Model random_model(const Options& o) {
  const nas::Space space = nas::Space::load(o.space);
  nn::FreshParameters fresh{Rng(1)};
  const std::vector<i32> genotype = space.canonical(space.from_text(o.genotype));
  nn::EarlyExitNetwork network(space.decode(genotype, {.classes = o.classes, .channels = o.channels}), fresh);
  nn::Model model{.plan = std::make_shared<const nn::Plan>(nn::deployable(network)),
                  .space = o.space,
                  .genotype = genotype};
  for (i64 c = 0; c < o.classes; ++c) model.class_names.push_back(std::to_string(c));
  model.mean.assign(std::size_t(o.channels), 0.5f);
  model.std.assign(std::size_t(o.channels), 0.25f);
  model.thresholds.resize(nn::exit_costs(*model.plan).size() - 1);
  return model;
}

void serve(const Options& o, const nn::Model& model) {
  const nn::Plan& plan = *model.plan;
  Exec exec(default_target(), o.threads);
  nn::EarlyExitRunner early(model.plan, exec.target(), o.batch, exec.threads());
  nn::PlanRunner& runner = early.plan_runner();
  Rng rng(1);
  std::vector<float> images(std::size_t(o.batch * plan.buffers[0]));
  for (float& v : images) v = rng.uniform(-1, 1);
  const auto path = [&] {
    std::copy(images.begin(), images.end(), runner.input());  // a pass overwrites them
    for (i64 s = 0; s < i64(plan.stages.size()); ++s) {
      runner.run_body(exec, s, o.batch);
      if (plan.stages[std::size_t(s)].has_exit()) runner.run_head(exec, s, o.batch);
    }
  };
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, in, out;
    double ms = 0;
    words >> command;
    if (command == "time" && words >> ms) {
      const Timing t =
          measure(path, {.warm_up = 2, .min_runs = 3, .max_runs = 100'000, .min_seconds = ms / 1e3});
      std::cout << t.median_us << std::endl;
    } else if (command == "logits" && words >> in >> out) {
      const Tensor images = read_npy(in);
      const Shape wanted({images.extent(0), plan.height, plan.width, plan.channels});
      if (images.dtype() != DType::f32 || images.shape() != wanted)
        throw input_error(in + ": wanted float32 " + wanted.str());
      const i64 n = images.extent(0), exits = i64(early.exits().size());
      Tensor logits = Tensor::empty({n, exits, plan.classes});
      early.run_all(exec, images.data<float>(), n, logits.data<float>());
      write_npy(out, logits);
      std::cout << "done" << std::endl;
    } else {
      throw usage_error("'" + line + "' is no command");
    }
  }
}

int run(cli::Console& console, const cli::Words& words) {
  Options o;
  cli::Args args(console, "network_bench", "a deployed network, timed in short turns on command",
                 {"echo time 500 | network_bench --model m.safetensors --batch 64"});
  args.option("--model M", o.model, "model file")
      .option("--space S", o.space, "or a search space and a genotype, with random weights")
      .option("--genotype G", o.genotype, "comma-separated genes")
      .option("--save FILE", o.save, "write the network of --genotype as a model file first")
      .option("--batch B", o.batch, "images computed together, default 1", 1, 65536)
      .threads(o.threads);
  if (!args.parse(words)) return 0;
  if (o.model.empty() == (o.space.empty() || o.genotype.empty()))
    throw usage_error("give either --model, or --space and --genotype");
  const nn::Model model = o.model.empty() ? random_model(o) : nn::load_model(o.model);
  if (!o.save.empty()) nn::save_model(o.save, model);
  serve(o, model);
  return 0;
}

}  // namespace
}  // namespace offramp::bench

int main(int argc, char** argv) {
  using namespace offramp;
  return bench::guarded_main("network_bench", [&](cli::Console& console) {
    return bench::run(console, cli::Words(argv + 1, argv + argc));
  });
}
