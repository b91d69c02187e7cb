// A search space as plain data: what nas/space/parse.cpp reads from a TOML file and the other files walk
// over. The form of the file is described at the top of nas/spaces/small.toml.
#pragma once
#include <string>
#include <vector>

#include "kernels/resize/resize_call.h"
#include "kernels/types.h"

namespace offramp::nas {

// The values one property may take. With a single value nothing is searched and there is no gene.
struct Choice {
  std::vector<double> values;
  std::vector<std::string> labels;  // one per value, empty where the number itself says it
  i64 gene = -1;                    // position in the genotype, -1 = fixed

  bool used() const { return !values.empty(); }
  bool searched() const { return gene >= 0; }
};

struct FixedBlock {  // an MBConv that every network has
  i64 kernel, expand, width, stride;
  Act act;
  bool se;
};

struct StemModel {
  i64 kernel, stride;
  Choice width;
  Act act;
  std::vector<FixedBlock> blocks;
};

struct StageModel {
  i64 stride;  // of the first layer; the others have 1
  Choice width, depth;
  std::vector<Choice> kernel, expand;  // one per layer, as many as the greatest depth
  Act act;
  bool se;
};

// What stands between the last feature map and the classes, left to right; width 0 = part is absent.
struct ClassifierModel {
  i64 feature_width = 0;  // 1x1 convolution, norm, act
  Act feature_act = Act::none;
  i64 hidden_width = 0;  // after global average pooling: 1x1 convolution without norm, act
  Act hidden_act = Act::none;
  bool hidden_bias = false;
};

enum class ModuleType : u8 { pool, pointwise, separable, mbconv, dense, resize_conv };  // small to large
constexpr i64 kModuleTypes = 6;
const char* module_type_name(ModuleType type);

// One layer slot of an exit. A gene is expressed only for the types that use it (see uses()).
struct ModuleModel {
  Choice type, ext, kernel, width, expand, stride, pool;
  bool times = false;  // width holds multiples of the incoming channels, not channels
  Act act;
  bool se;
  bool norm = true;  // false: convolutions have a bias instead
  kernels::ResizeKind resize;
};

enum class ModuleGene : u8 { ext, kernel, width, expand, stride, pool };
constexpr ModuleGene kModuleGenes[] = {ModuleGene::ext,    ModuleGene::kernel, ModuleGene::width,
                                       ModuleGene::expand, ModuleGene::stride, ModuleGene::pool};
constexpr bool uses(ModuleType type, ModuleGene gene) {
  switch (gene) {
    case ModuleGene::ext:
    case ModuleGene::pool:
      return type == ModuleType::resize_conv;
    case ModuleGene::kernel:
      return type != ModuleType::pool && type != ModuleType::pointwise;
    case ModuleGene::width:
      return type != ModuleType::pool;
    case ModuleGene::expand:
      return type == ModuleType::mbconv;
    case ModuleGene::stride:
      return type != ModuleType::pointwise && type != ModuleType::resize_conv;
  }
  return false;
}
inline const Choice& choice_of(const ModuleModel& m, ModuleGene gene) {
  switch (gene) {
    case ModuleGene::ext:
      return m.ext;
    case ModuleGene::kernel:
      return m.kernel;
    case ModuleGene::width:
      return m.width;
    case ModuleGene::expand:
      return m.expand;
    case ModuleGene::stride:
      return m.stride;
    default:
      return m.pool;
  }
}

struct ExitModel {
  i64 after;               // 1-based stage at whose end it stands
  Choice presence;         // present: 0 or 1; threshold: a margin in (0,1], where 1 = no exit here
  bool threshold = false;  // presence holds thresholds
  Choice depth;            // how many of the modules there are; unused: all of them
  Act act = Act::none;     // of the features, in front of the modules
  bool shrink = false;     // shrink_heads
  std::vector<ModuleModel> modules;
  ClassifierModel classifier;

  bool on(double presence_value) const { return threshold ? presence_value < 1 : presence_value != 0; }
};

struct SpaceModel {
  std::string name, path, text;     // text: the file as it was read
  Choice resolution;                // side length in pixels; unused: the data's own size
  i64 reference_size = 32;          // stands in for the data's own size where there are no data
  bool learned_confidence = false;  // early exits have one output more
  StemModel stem;
  std::vector<StageModel> stages;
  ClassifierModel final;
  std::vector<ExitModel> exits;
};

// Reads and checks a space. Throws Error(input), "path:line: key: wanted ..., got ...". Genes are not
// numbered yet.
SpaceModel parse_space(std::string text, std::string path);

// The text of a space that is compiled into the binary, or null.
struct BuiltinSpace {
  const char* name;
  const char* text;
};
const std::vector<BuiltinSpace>& builtin_spaces();

}  // namespace offramp::nas
