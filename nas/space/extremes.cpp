// The largest and smallest networks of a space, and the few that together hold every shared parameter.
#include <algorithm>
#include <functional>

#include "nas/space/walk.h"

namespace offramp::nas {
namespace {

std::size_t index_of_extreme(const Choice& choice, bool largest) {
  const auto& v = choice.values;
  return std::size_t((largest ? std::max_element(v.begin(), v.end()) : std::min_element(v.begin(), v.end())) -
                     v.begin());
}

void set(Genotype& genotype, const Choice& choice, std::size_t index) {
  if (choice.searched()) genotype[std::size_t(choice.gene)] = i32(index);
}

Genotype extreme(const SpaceModel& model, std::size_t genes, bool largest_backbone, bool largest_exits) {
  Genotype g(genes, 0);
  for_each_choice(model, [&](const Choice& choice, const std::string& name) {
    const bool of_exit = name.find(".exit.") != std::string::npos;
    if (choice.used()) set(g, choice, index_of_extreme(choice, of_exit ? largest_exits : largest_backbone));
  });
  for (const ExitModel& exit : model.exits) {
    // A larger stride or a pooling behind the layer makes the rest smaller, not larger.
    for (const ModuleModel& module : exit.modules)
      for (const Choice* choice : {&module.stride, &module.pool})
        if (choice->used()) set(g, *choice, index_of_extreme(*choice, !largest_exits));
    const auto& v = exit.presence.values;
    const auto on = std::find_if(v.begin(), v.end(), [&](double value) { return exit.on(value); });
    set(g, exit.presence, std::size_t(on - v.begin()));
  }
  return g;
}

using Assign = std::function<void(Genotype&)>;

// What an exit needs so that each of its layers is seen once with the most channels that can reach it: one
// assignment of its genes per (module, type), and one for the classifier behind the modules.
std::vector<Assign> exit_assignments(const ExitModel& exit, double stage_width) {
  struct Widest {
    double channels;
    std::vector<std::pair<std::size_t, std::size_t>> options;  // per module before it: index of type, of ext
  };
  std::vector<Widest> widest = {{stage_width, {}}};  // [m]: in front of module m
  std::vector<std::pair<std::size_t, Widest>> targets;
  for (const ModuleModel& module : exit.modules) {
    const Widest before = widest.back();
    Widest best{-1, {}};
    for (std::size_t t = 0; t < module.type.values.size(); ++t) {
      const ModuleType type = ModuleType(i64(module.type.values[t]));
      const std::size_t exts = type == ModuleType::resize_conv ? module.ext.values.size() : 1;
      for (std::size_t x = 0; x < exts; ++x) {
        const bool there = type != ModuleType::resize_conv || module.ext.values[x] != 0;
        double out = before.channels;
        if (there && uses(type, ModuleGene::width)) {
          const double most = module.width.values[index_of_extreme(module.width, true)];
          out = module.times ? out * most : most;
        }
        Widest now{out, before.options};
        now.options.emplace_back(t, x);
        // The side it resizes to changes no parameter: one target is enough.
        const bool repeated = exts > 1 && x != index_of_extreme(module.ext, true);
        if (there && !repeated) targets.emplace_back(widest.size(), now);
        if (now.channels > best.channels) best = std::move(now);
      }
    }
    widest.push_back(std::move(best));
  }
  std::size_t classifier = exit.modules.size();  // number of modules in front of it
  if (exit.depth.used()) {
    classifier = std::size_t(exit.depth.values[0]);
    for (const double d : exit.depth.values)
      if (widest[std::size_t(d)].channels > widest[classifier].channels) classifier = std::size_t(d);
  }
  targets.emplace_back(classifier, widest[classifier]);

  std::vector<Assign> result;
  for (const auto& target : targets) {
    const std::size_t modules = target.first;
    const auto options = target.second.options;
    const bool is_classifier = &target == &targets.back();
    result.push_back([&exit, modules, options, is_classifier](Genotype& g) {
      if (exit.depth.used()) {
        // A layer is there at any depth that reaches it, the widest classifier only behind its own.
        std::size_t depth = index_of_extreme(exit.depth, true);
        for (std::size_t i = 0; is_classifier && i < exit.depth.values.size(); ++i)
          if (std::size_t(exit.depth.values[i]) == modules) depth = i;
        set(g, exit.depth, depth);
      }
      for (std::size_t m = 0; m < options.size(); ++m) {
        const ModuleModel& module = exit.modules[m];
        set(g, module.type, options[m].first);
        if (ModuleType(i64(module.type.values[options[m].first])) == ModuleType::resize_conv)
          set(g, module.ext, options[m].second);
      }
    });
  }
  return result;
}

}  // namespace

Genotype Space::max_genotype() const { return canonical(extreme(*model_, genes_.size(), true, true)); }
Genotype Space::min_genotype() const { return canonical(extreme(*model_, genes_.size(), false, false)); }
Genotype Space::max_with_min_exits() const { return canonical(extreme(*model_, genes_.size(), true, false)); }

std::vector<Genotype> Space::covering_genotypes() const {
  const Genotype largest = extreme(*model_, genes_.size(), true, true);
  std::vector<std::vector<Assign>> exits;
  std::size_t rounds = 0;
  for (const ExitModel& exit : model_->exits) {
    const Choice& width = model_->stages[std::size_t(exit.after - 1)].width;
    exits.push_back(exit_assignments(exit, width.values[index_of_extreme(width, true)]));
    rounds = std::max(rounds, exits.back().size());
  }
  std::vector<Genotype> result = {canonical(largest)};
  for (std::size_t r = 0; r < rounds; ++r) {
    Genotype g = largest;
    for (const std::vector<Assign>& assignments : exits)
      if (r < assignments.size()) assignments[r](g);
    g = canonical(g);
    if (std::find(result.begin(), result.end(), g) == result.end()) result.push_back(std::move(g));
  }
  return result;
}

}  // namespace offramp::nas
