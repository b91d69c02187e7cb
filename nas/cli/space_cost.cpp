#include "nas/cli/space_cost.h"

#include <nlohmann/json.hpp>

#include "nas/space/space.h"
#include "nn/record.h"

namespace offramp::cli {

using nlohmann::ordered_json;

void run_space_cost(Console& console, const Words& words) {
  std::string name, text;
  nas::Task task;
  i64 side = 0;
  Args args(console, "space cost", "exact MACs and parameters of the network a genotype stands for",
            {"offramp space cost small --genotype \"$(offramp space sample small -q)\"",
             "offramp space cost aebnas --genotype 0,1,... --classes 100 --json"});
  args.word("SPACE", name, "name of a built-in space, or the path of a .toml file")
      .option("--genotype G", text, "indices into the choices, separated by commas")
      .required("--genotype")
      .option("--classes N", task.classes, "classes (default 10)", 2, 100000)
      .option("--channels N", task.channels, "channels of the images (default 3)", 1, 16)
      .option("--image-size S", side, "side of the images, for a space of native resolution", 1, 4096)
      .notes(
          "MACs are multiply-accumulates of one image, padding included. leave_macs of an exit counts "
          "everything up\n"
          "to it: the backbone, its own head and all earlier heads. Nothing is trained or run.\n");
  if (!args.parse(words)) return;

  const nas::Space space = nas::Space::load(name);
  const nas::Genotype genotype = space.canonical(space.from_text(text));
  task.height = task.width = side;
  // The plan of the real network, recorded without weights: these are the kernel calls the binary would make.
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork network(space.decode(genotype, task), weightless);
  const nn::Plan plan = nn::deployable(network);
  const std::vector<nn::ExitCost> costs = nn::exit_costs(plan);
  const i64 full = costs.back().leave_macs;
  i64 other_ops = 0;
  for (const nn::PlanStage& stage : plan.stages)
    other_ops += nn::cost(stage.body).other_ops + nn::cost(stage.head).other_ops;

  ordered_json exits = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"exit", "prefix MACs", "head MACs", "leave MACs", "share"}};
  for (const nn::ExitCost& e : costs) {
    exits.push_back({{"name", e.name},
                     {"prefix_macs", e.prefix_macs},
                     {"head_macs", e.head_macs},
                     {"leave_macs", e.leave_macs}});
    rows.push_back({e.name, std::to_string(e.prefix_macs), std::to_string(e.head_macs),
                    std::to_string(e.leave_macs), format_percent(double(e.leave_macs) / double(full))});
  }
  if (console.options.json) {
    console.print_json({{"space", space.name()},
                        {"genotype", genotype},
                        {"params", plan.params()},
                        {"exits", exits},
                        {"full_macs", full},
                        {"full_flops", 2 * full + other_ops},
                        {"resolution", plan.height},
                        {"classes", plan.classes},
                        {"channels", plan.channels}});
    return;
  }
  console.print("genotype " + nas::to_text(genotype) + "\n" + std::to_string(plan.height) + "x" +
                std::to_string(plan.width) + " pixels, " + std::to_string(plan.params()) + " parameters, " +
                format_count(full) + " MACs to the end\n" + table(rows));
}

}  // namespace offramp::cli
