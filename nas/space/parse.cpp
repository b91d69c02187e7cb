// From the TOML text of a space to SpaceModel.
#include <algorithm>
#include <array>

#include "nas/space/model.h"
#include "nas/space/toml_reader.h"

namespace offramp::nas {
namespace {

constexpr std::size_t kMaxStages = 16, kMaxBlocks = 8, kMaxModules = 4;
constexpr i64 kMaxDepth = 16;
constexpr IntRule kKernel{1, 15, 1, true}, kWidth{8, 4096, 8}, kExpand{1, 16}, kStride{1, 2}, kTimes{1, 8};

constexpr std::array<const char*, kModuleTypes> kTypeNames = {"pool",   "pointwise", "separable",
                                                              "mbconv", "dense",     "resize_conv"};

struct ActName {
  const char* name;
  Act act;
};
constexpr ActName kActs[] = {{"none", Act::none},
                             {"relu", Act::relu},
                             {"relu6", Act::relu6},
                             {"hard_swish", Act::hard_swish},
                             {"hard_sigmoid", Act::hard_sigmoid},
                             {"sigmoid", Act::sigmoid}};

// "wanted" text and nearest spelling for a word out of a fixed set.
[[noreturn]] void fail_word(const TomlReader& in, const toml::node& node, const char* key,
                            const std::vector<std::string>& words) {
  std::string wanted = "one of ";
  for (std::size_t i = 0; i < words.size(); ++i) wanted += (i ? ", " : "") + words[i];
  std::string got = TomlReader::shown(node);
  if (node.is_string()) {
    const std::string near = nearest(TomlReader::clean(node.as_string()->get()), words);
    if (!near.empty()) got += "; did you mean \"" + near + "\"?";
  }
  in.fail(node, key, wanted, got);
}

Act act_of(const TomlReader& in, const char* key, Act otherwise) {
  const toml::node* node = in.find(key);
  if (!node) return otherwise;
  std::vector<std::string> words;
  for (const ActName& a : kActs) {
    if (node->is_string() && node->as_string()->get() == a.name) return a.act;
    words.emplace_back(a.name);
  }
  fail_word(in, *node, key, words);
}

Choice integers(const TomlReader& in, const char* key, const IntRule& rule) {
  return {.values = in.integers(key, rule), .labels = {}, .gene = -1};
}
Choice fixed(double value) { return {.values = {value}, .labels = {}, .gene = -1}; }

StemModel parse_stem(const toml::table& table, const std::string& path) {
  const TomlReader in(table, path, "stem", {"kernel", "stride", "width", "act", "block"});
  StemModel stem{.kernel = in.integer("kernel", kKernel),
                 .stride = in.integer("stride", {1, 4}),
                 .width = integers(in, "width", kWidth),
                 .act = act_of(in, "act", Act::relu),
                 .blocks = {}};
  for (const toml::table* block : in.tables("block", kMaxBlocks)) {
    const TomlReader b(*block, path, "stem.block", {"kernel", "expand", "width", "stride", "act", "se"});
    stem.blocks.push_back({.kernel = b.integer("kernel", kKernel),
                           .expand = b.integer("expand", kExpand),
                           .width = b.integer("width", kWidth),
                           .stride = b.integer_or("stride", kStride, 1),
                           .act = act_of(b, "act", Act::relu),
                           .se = b.boolean_or("se", false)});
  }
  return stem;
}

StageModel parse_stage(const toml::table& table, const std::string& path) {
  const TomlReader in(table, path, "stage", {"stride", "width", "depth", "kernel", "expand", "act", "se"});
  StageModel stage{.stride = in.integer("stride", kStride),
                   .width = integers(in, "width", kWidth),
                   .depth = integers(in, "depth", {1, kMaxDepth}),
                   .kernel = {},
                   .expand = {},
                   .act = act_of(in, "act", Act::relu),
                   .se = in.boolean_or("se", false)};
  const std::size_t layers =
      std::size_t(*std::max_element(stage.depth.values.begin(), stage.depth.values.end()));
  stage.kernel.assign(layers, integers(in, "kernel", kKernel));
  stage.expand.assign(layers, integers(in, "expand", kExpand));
  return stage;
}

// The parts of [final] and [[exit]] that are the same.
ClassifierModel parse_classifier(const TomlReader& in, const std::string& path) {
  ClassifierModel model;
  if (in.has("feature")) {
    const TomlReader feature(in.table_at("feature"), path, in.full("feature"), {"width", "act"});
    model.feature_width = feature.integer("width", kWidth);
    model.feature_act = act_of(feature, "act", Act::relu);
  }
  if (in.has("hidden")) {
    const TomlReader hidden(in.table_at("hidden"), path, in.full("hidden"), {"width", "act", "bias"});
    model.hidden_width = hidden.integer("width", kWidth);
    model.hidden_act = act_of(hidden, "act", Act::relu);
    model.hidden_bias = hidden.boolean_or("bias", true);
  }
  return model;
}

Choice parse_types(const TomlReader& in) {
  Choice types;
  const std::vector<std::string> words(kTypeNames.begin(), kTypeNames.end());
  in.values("type", "the name of a layer type", [&](const toml::node& node, const std::string&) {
    const auto at =
        node.is_string() ? std::find(words.begin(), words.end(), node.as_string()->get()) : words.end();
    if (at == words.end()) fail_word(in, node, "type", words);
    types.values.push_back(double(at - words.begin()));
    types.labels.push_back(*at);
  });
  return types;
}

// A resize convolution has no padding: every kernel must fit the side, and a pooling what is left.
void check_resize_conv(const TomlReader& in, const ModuleModel& module) {
  for (const double ext : module.ext.values)
    for (const double kernel : module.kernel.values)
      for (const double pool : module.pool.values) {
        if (ext == 0) continue;
        const i64 side = ext < kernel ? 0 : (i64(ext) - i64(kernel)) / 2 + 1;
        if (side >= (pool != 0 ? 2 : 1)) continue;
        in.fail(*in.find("ext"), "ext",
                "sides that leave at least " + std::string(pool != 0 ? "2 x 2 for the pooling" : "1 x 1") +
                    " behind kernel " + std::to_string(i64(kernel)) + " and stride 2",
                std::to_string(i64(ext)));
      }
}

ModuleModel parse_module(const toml::table& table, const std::string& path) {
  const TomlReader in(
      table, path, "exit.module",
      {"type", "ext", "kernel", "width", "times", "expand", "stride", "pool", "act", "se", "norm", "resize"});
  ModuleModel module{.type = parse_types(in),
                     .ext = {},
                     .kernel = {},
                     .width = {},
                     .expand = {},
                     .stride = {},
                     .pool = {},
                     .times = in.has("times"),
                     .act = act_of(in, "act", Act::relu),
                     .se = in.boolean_or("se", false),
                     .norm = in.boolean_or("norm", true),
                     .resize = kernels::ResizeKind::bicubic};
  const auto has_type = [&](ModuleType type) {
    const auto& v = module.type.values;
    return std::find(v.begin(), v.end(), double(type)) != v.end();
  };
  const auto used = [&](ModuleGene gene) {
    return std::any_of(module.type.values.begin(), module.type.values.end(),
                       [&](double v) { return uses(ModuleType(i64(v)), gene); });
  };
  const auto refuse_unused = [&](const char* key, bool is_used) {
    if (in.has(key) && !is_used)
      in.fail(*in.find(key), key, "only what the module's types use", "a key that none of them uses");
  };
  if (used(ModuleGene::ext)) {
    const bool only_resize =
        module.type.values == std::vector<double>(module.type.values.size(), double(ModuleType::resize_conv));
    // Beside other types "no layer" is the exit's depth to say: side 0 would be a second spelling of it.
    module.ext = integers(in, "ext", {only_resize ? 0 : 1, 64});
    if (std::all_of(module.ext.values.begin(), module.ext.values.end(), [](double v) { return v == 0; }))
      in.fail(*in.find("ext"), "ext", "a side above 0", "only 0");
  }
  if (used(ModuleGene::kernel)) module.kernel = integers(in, "kernel", kKernel);
  if (used(ModuleGene::width)) {
    if (module.times && in.has("width")) in.fail(*in.find("times"), "times", "either width or times", "both");
    module.width = module.times ? integers(in, "times", kTimes) : integers(in, "width", kWidth);
  }
  if (used(ModuleGene::expand)) module.expand = integers(in, "expand", kExpand);
  if (used(ModuleGene::stride)) module.stride = in.has("stride") ? integers(in, "stride", kStride) : fixed(1);
  if (used(ModuleGene::pool)) module.pool = in.has("pool") ? integers(in, "pool", {0, 1}) : fixed(0);
  refuse_unused("ext", used(ModuleGene::ext));
  refuse_unused("kernel", used(ModuleGene::kernel));
  refuse_unused("width", used(ModuleGene::width));
  refuse_unused("times", used(ModuleGene::width));
  refuse_unused("expand", used(ModuleGene::expand));
  refuse_unused("stride", used(ModuleGene::stride));
  refuse_unused("pool", used(ModuleGene::pool));
  refuse_unused("se", has_type(ModuleType::mbconv));
  refuse_unused("norm", has_type(ModuleType::pointwise) || has_type(ModuleType::separable) ||
                            has_type(ModuleType::dense) || has_type(ModuleType::resize_conv));
  refuse_unused("resize", has_type(ModuleType::resize_conv));
  if (in.has("resize")) {
    const std::string kind = in.string("resize", "\"bilinear\" or \"bicubic\"");
    if (kind != "bilinear" && kind != "bicubic")
      fail_word(in, *in.find("resize"), "resize", {"bilinear", "bicubic"});
    if (kind == "bilinear") module.resize = kernels::ResizeKind::bilinear;
  }
  if (used(ModuleGene::ext)) check_resize_conv(in, module);
  return module;
}

ExitModel parse_exit(const toml::table& table, const std::string& path, i64 stages, i64 last_exit) {
  const TomlReader in(
      table, path, "exit",
      {"after", "present", "threshold", "depth", "act", "shrink", "module", "feature", "hidden"});
  const IntRule positions{1, stages - 1};
  if (stages < 2) in.fail(table, "after", "no exit in a space of one stage", "one");
  ExitModel exit{.after = in.integer("after", positions),
                 .presence = {},
                 .threshold = in.has("threshold"),
                 .depth = {},
                 .act = act_of(in, "act", Act::none),
                 .shrink = in.boolean_or("shrink", false),
                 .modules = {},
                 .classifier = parse_classifier(in, path)};
  if (exit.after <= last_exit)
    in.fail(*in.find("after"), "after", "exits in the order of the stages, one behind a stage",
            std::to_string(exit.after) + " after " + std::to_string(last_exit));
  if (exit.threshold) {
    if (in.has("present")) in.fail(*in.find("present"), "present", "either present or threshold", "both");
    in.values("threshold", "a number above 0, up to 1 (no exit)",
              [&](const toml::node& node, const std::string& wanted) {
                const std::optional<double> v = node.is_number() ? node.value<double>() : std::nullopt;
                if (!v || !(*v > 0 && *v <= 1)) in.fail(node, "threshold", wanted, TomlReader::shown(node));
                exit.presence.values.push_back(*v);
              });
  } else {
    exit.presence = in.has("present") ? integers(in, "present", {0, 1}) : fixed(1);
  }
  const auto& presence = exit.presence.values;
  if (std::none_of(presence.begin(), presence.end(), [&](double v) { return exit.on(v); })) {
    const char* key = exit.threshold ? "threshold" : "present";
    in.fail(*in.find(key), key, "a choice that leaves the exit on", "only choices that switch it off");
  }
  for (const toml::table* module : in.tables("module", kMaxModules))
    exit.modules.push_back(parse_module(*module, path));
  if (in.has("depth")) exit.depth = integers(in, "depth", {0, i64(exit.modules.size())});
  return exit;
}

void parse_resolution(const TomlReader& in, const std::string& path, Choice& resolution) {
  constexpr IntRule kSide{1, 1024};
  const toml::node* node = in.find("resolution");
  if (!node) in.missing("resolution", "\"native\", a side length, an array of them or { from, to, step }");
  if (node->is_string()) {
    if (node->as_string()->get() != "native") fail_word(in, *node, "resolution", {"native"});
  } else if (node->is_table()) {
    const TomlReader range(*node->as_table(), path, "resolution", {"from", "to", "step"});
    const i64 from = range.integer("from", kSide), to = range.integer("to", {from, 1024});
    const i64 step = range.integer("step", kSide);
    if ((to - from) / step >= 64)
      range.fail(*range.find("step"), "step", "at most 64 resolutions",
                 std::to_string((to - from) / step + 1));
    for (i64 side = from; side <= to; side += step) resolution.values.push_back(double(side));
  } else {
    resolution = integers(in, "resolution", kSide);
  }
}

std::string stem_of(const std::string& path) {
  const std::string file = path.substr(path.find_last_of('/') + 1);
  return file.substr(0, file.rfind(".toml"));
}

}  // namespace

const char* module_type_name(ModuleType type) { return kTypeNames[std::size_t(type)]; }

SpaceModel parse_space(std::string text, std::string path) {
  const toml::table root = parse_toml(text, path);
  const TomlReader in(
      root, path, "",
      {"name", "resolution", "reference_size", "learned_confidence", "stem", "stage", "final", "exit"});
  SpaceModel model;
  model.name = in.has("name") ? in.string("name", "a string") : stem_of(path);
  if (model.name.empty() || model.name.size() > 60 || TomlReader::clean(model.name) != model.name)
    throw input_error(path + ":1: name: wanted 1..60 printable characters, got \"" +
                      TomlReader::clean(model.name) + "\"");
  parse_resolution(in, path, model.resolution);
  model.reference_size = in.integer_or("reference_size", {1, 1024}, 32);
  model.learned_confidence = in.boolean_or("learned_confidence", false);
  model.stem = parse_stem(in.table_at("stem"), path);
  for (const toml::table* stage : in.tables("stage", kMaxStages))
    model.stages.push_back(parse_stage(*stage, path));
  if (model.stages.empty()) in.missing("stage", "at least one [[stage]]");
  if (in.has("final")) {
    const TomlReader final(in.table_at("final"), path, "final", {"feature", "hidden"});
    model.final = parse_classifier(final, path);
  }
  i64 last_exit = 0;
  for (const toml::table* exit : in.tables("exit", kMaxStages - 1)) {
    model.exits.push_back(parse_exit(*exit, path, i64(model.stages.size()), last_exit));
    last_exit = model.exits.back().after;
  }
  model.text = std::move(text);
  model.path = std::move(path);
  return model;
}

}  // namespace offramp::nas
