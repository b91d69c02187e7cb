#include "nas/space/shrink.h"

#include <algorithm>

#include "nn/record.h"
#include "nn/shapes.h"

namespace offramp::nas {
namespace {

std::vector<nn::ExitCost> costs_of(const nn::Architecture& net) {
  nn::MetaParameters none;
  nn::EarlyExitNetwork network(net, none);
  return nn::exit_costs(nn::record(network));
}

// A head on its own, as a network whose images are the features.
i64 head_macs(const nn::FeatureShape& features, i64 outputs, const std::vector<nn::LayerSpec>& head) {
  return costs_of({.height = features.h,
                   .width = features.w,
                   .channels = features.c,
                   .classes = outputs,
                   .stages = {{.name = "final", .body = {}, .head = head}}})
      .back()
      .head_macs;
}

i64 largest_pool(i64 channels) { return channels >= 16 ? 4 : channels >= 8 ? 2 : 1; }

}  // namespace

void shrink_heads(nn::Architecture& net, const std::vector<Shrinkable>& heads) {
  if (heads.empty()) return;
  const std::vector<nn::FeatureShape> features = nn::require_architecture(net);
  std::vector<nn::ExitCost> exits = costs_of(net);
  for (std::size_t e = exits.size() - 1; e-- > 0;) {
    const std::size_t stage = std::size_t(exits[e].stage);
    const auto found =
        std::find_if(heads.begin(), heads.end(), [&](const Shrinkable& s) { return s.stage == stage; });
    if (found == heads.end()) continue;
    const nn::FeatureShape& shape = features[stage];
    const i64 next = exits[e + 1].prefix_macs + exits[e + 1].head_macs;
    const i64 largest = std::min({largest_pool(shape.c), shape.h, shape.w});
    const std::vector<nn::LayerSpec> head = net.stages[stage].head;
    for (i64 pool = 2; pool <= largest && exits[e].prefix_macs + exits[e].head_macs >= next; pool *= 2) {
      std::vector<nn::LayerSpec>& shrunk = net.stages[stage].head;
      shrunk = head;
      shrunk.insert(shrunk.begin(), {.kind = nn::LayerSpec::Kind::max_pool,
                                     .name = found->prefix + ".shrink" + std::to_string(pool),
                                     .kernel = pool,
                                     .stride = pool});
      exits[e].head_macs = head_macs(shape, net.outputs(stage), shrunk);
    }
  }
}

}  // namespace offramp::nas
