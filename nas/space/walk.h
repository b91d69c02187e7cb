// Walking over the choices of a space, in genome order. Internal to nas/space.
#pragma once
#include <string>

#include "nas/space/model.h"
#include "nas/space/space.h"

namespace offramp::nas {

inline double value_of(const Choice& choice, const Genotype& genotype) {
  return choice.values[choice.searched() ? std::size_t(genotype[std::size_t(choice.gene)]) : 0];
}
inline i64 int_of(const Choice& choice, const Genotype& genotype) { return i64(value_of(choice, genotype)); }

inline std::string stage_name(i64 stage) { return "stage" + std::to_string(stage + 1); }
inline std::string exit_prefix(const ExitModel& exit) { return stage_name(exit.after - 1) + ".exit"; }

inline i64 modules_of(const ExitModel& exit, const Genotype& genotype) {
  return exit.depth.used() ? int_of(exit.depth, genotype) : i64(exit.modules.size());
}
inline ModuleType type_of(const ModuleModel& module, const Genotype& genotype) {
  return ModuleType(int_of(module.type, genotype));
}
// A resize convolution to side 0 is a layer that is not there.
inline bool module_absent(const ModuleModel& module, const Genotype& genotype) {
  return type_of(module, genotype) == ModuleType::resize_conv && int_of(module.ext, genotype) == 0;
}

// Every choice there is, in genome order: stem, stages, presence of the exits, what the exits are made of,
// resolution. f(Choice&, name); Model is SpaceModel or const SpaceModel.
template <class Model, class F>
void for_each_choice(Model& model, F f) {
  f(model.stem.width, "stem.width");
  for (std::size_t s = 0; s < model.stages.size(); ++s) {
    auto& stage = model.stages[s];
    const std::string name = stage_name(i64(s));
    f(stage.width, name + ".width");
    f(stage.depth, name + ".depth");
    for (std::size_t l = 0; l < stage.kernel.size(); ++l)
      f(stage.kernel[l], name + ".block" + std::to_string(l + 1) + ".kernel");
    for (std::size_t l = 0; l < stage.expand.size(); ++l)
      f(stage.expand[l], name + ".block" + std::to_string(l + 1) + ".expand");
  }
  for (auto& exit : model.exits)
    f(exit.presence, exit_prefix(exit) + (exit.threshold ? ".threshold" : ".present"));
  for (auto& exit : model.exits) {
    f(exit.depth, exit_prefix(exit) + ".depth");
    for (std::size_t m = 0; m < exit.modules.size(); ++m) {
      auto& module = exit.modules[m];
      const std::string name = exit_prefix(exit) + ".module" + std::to_string(m + 1);
      f(module.type, name + ".type");
      f(module.ext, name + ".ext");
      f(module.kernel, name + ".kernel");
      f(module.width, name + (module.times ? ".times" : ".width"));
      f(module.expand, name + ".expand");
      f(module.stride, name + ".stride");
      f(module.pool, name + ".pool");
    }
  }
  f(model.resolution, "resolution");
}

// The choices that matter for this genotype. f(const Choice&).
template <class F>
void for_each_expressed(const SpaceModel& model, const Genotype& genotype, F f) {
  f(model.stem.width);
  for (const StageModel& stage : model.stages) {
    f(stage.width);
    f(stage.depth);
    const std::size_t depth = std::size_t(int_of(stage.depth, genotype));
    for (std::size_t l = 0; l < depth; ++l) f(stage.kernel[l]);
    for (std::size_t l = 0; l < depth; ++l) f(stage.expand[l]);
  }
  for (const ExitModel& exit : model.exits) {
    f(exit.presence);
    if (!exit.on(value_of(exit.presence, genotype))) continue;
    f(exit.depth);
    const i64 modules = modules_of(exit, genotype);
    for (i64 m = 0; m < modules; ++m) {
      const ModuleModel& module = exit.modules[std::size_t(m)];
      f(module.type);
      const ModuleType type = type_of(module, genotype);
      if (module_absent(module, genotype)) {
        f(module.ext);
        continue;
      }
      for (const ModuleGene gene : kModuleGenes)
        if (uses(type, gene)) f(choice_of(module, gene));
    }
  }
  f(model.resolution);
}

}  // namespace offramp::nas
