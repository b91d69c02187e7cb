// offramp profile: time every kernel call of a deployed plan, or a training step
#include "nas/cli/profile.h"

#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "nas/cli/verb.h"
#include "nas/space/space.h"
#include "nn/network.h"
#include "nn/plan/model.h"
#include "nn/record.h"

namespace offramp::cli {

nn::Architecture profiled_architecture(const ProfileRequest& r) {
  const nas::Space space = nas::Space::load(r.space);
  return space.decode(space.canonical(space.from_text(r.genotype)),
                      {.classes = r.classes, .channels = r.channels});
}

ProfiledPlan profiled_plan(const ProfileRequest& r) {
  ProfiledPlan out;
  if (r.model.empty()) {
    nn::FreshParameters fresh{Rng(1)};
    nn::EarlyExitNetwork network(profiled_architecture(r), fresh);
    out.plan = std::make_shared<const nn::Plan>(nn::deployable(network));
  } else {
    out.plan = nn::load_model(r.model).plan;
  }
  const std::vector<nn::ExitCost> exits = nn::exit_costs(*out.plan);
  const i64 exit = r.exit < 0 ? i64(exits.size()) - 1 : r.exit;
  if (exit >= i64(exits.size()))
    throw usage_error("--exit " + std::to_string(exit) + ": the network has exits 0 to " +
                      std::to_string(exits.size() - 1));
  out.exit = exits[std::size_t(exit)].name;
  out.last_stage = exits[std::size_t(exit)].stage;
  Rng rng(1);
  out.images.resize(std::size_t(r.batch * out.plan->buffers[0]));
  for (float& v : out.images) v = rng.uniform(-1, 1);
  return out;
}

nlohmann::ordered_json to_json(const Timing& t, double scale) {
  return {{"median", t.median_us * scale},
          {"p10", t.p10_us * scale},
          {"p90", t.p90_us * scale},
          {"runs", t.runs}};
}

nlohmann::ordered_json to_json(const ProfiledCall& c) {
  return {{"kernel", c.kernel}, {"dims", c.dims}, {"calls", c.calls}, {"macs", c.macs},
          {"bytes", c.bytes},   {"us", c.us},     {"share", c.share}, {"roofline", c.of_roof}};
}

void run_profile(Console& console, const Words& words) {
  ProfileRequest r;
  bool train = false;
  Args args(
      console, "profile", "time every kernel call of a model, or a training step",
      {"offramp profile --model run/chosen.safetensors --batch 1 --threads 1",
       "offramp profile --model run/chosen.safetensors --batch 256 --device cuda --precision bf16",
       "offramp profile --space small --genotype \"$(offramp space sample small)\" --train --batch 64"});
  args.option("--model M", r.model, "model file")
      .option("--space S", r.space, "or a search space and a genotype, with random weights")
      .option("--genotype G", r.genotype, "comma-separated genes")
      .option("--classes N", r.classes, "of the space's network, default 10", 2, 100000)
      .option("--channels N", r.channels, "of its input, default 3", 1, 1024)
      .option("--batch B", r.batch, "images computed together, default 1", 1, 65536)
      .option("--exit K", r.exit, "the path that leaves at exit K (from 0), default the last", 0, 1000)
      .flag("--train", train, "time forward, backward and update instead")
      .threads(r.threads)
      .device(r.device, r.precision, "f32");
  if (!args.parse(words)) return;
  if (r.model.empty() == (r.space.empty() || r.genotype.empty()))
    throw usage_error("profile: give either --model, or --space and --genotype");
  if (train && !r.model.empty())
    throw usage_error("--train needs --space and --genotype: a model file is folded for inference");
  if constexpr (cuda::kBuilt)
    if (r.device == "cuda")
      return train ? profile_training_on_card(console, r) : profile_plan_on_card(console, r);
  if (train)
    profile_training_on_host(console, r);
  else
    profile_plan_on_host(console, r);
}

}  // namespace offramp::cli
