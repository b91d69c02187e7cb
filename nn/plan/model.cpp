#include "nn/plan/model.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "nn/plan/dims_fields.h"
#include "tensor/safetensors.h"

namespace offramp::nn {
namespace {

using Json = nlohmann::ordered_json;

// Version 2 has temperatures or a cascade, without which a reader would take other exits; version 3 has exits
// that learn a confidence as well. A file has the oldest version that will do.
constexpr int kPlainVersion = 1, kRuleVersion = 2, kLearnedVersion = 3;
constexpr size_t kMaxSteps = 10'000, kMaxBuffers = 100'000, kMaxCurve = 1'000'000;
constexpr i64 kMaxSamples = i64{1} << 32;  // of a data set

constexpr std::pair<const char*, int Step::*> kBufferRefs[] = {
    {"x", &Step::x}, {"z", &Step::z}, {"y", &Step::y}};
constexpr std::pair<const char*, int Step::*> kWeightRefs[] = {
    {"w", &Step::w},     {"bias", &Step::bias},   {"mean", &Step::mean},
    {"var", &Step::var}, {"gamma", &Step::gamma}, {"beta", &Step::beta}};

// Writing.

Json to_json(const Thresholds& thresholds) {
  Json list = Json::array();
  for (const auto& t : thresholds) list.push_back(t ? Json(*t) : Json(nullptr));
  return list;
}

Json to_json(const Step& step, const Plan& plan) {
  Json json{{"op", op_name(step.dims)}};
  StepDims dims = step.dims;
  visit_fields(dims, [&](const char* name, auto& value) { json[std::string("dim_") + name] = i64(value); });
  for (const auto& [name, ref] : kBufferRefs)
    if (step.*ref >= 0) json[name] = step.*ref;
  for (const auto& [name, ref] : kWeightRefs)
    if (step.*ref >= 0) json[name] = plan.weights[size_t(step.*ref)].name;
  if (step.eps != 0) json["eps"] = step.eps;
  if (step.act != Act::none) json["activation"] = int(step.act);
  return json;
}

Json to_json(const Plan& plan) {
  Json stages = Json::array();
  for (const PlanStage& stage : plan.stages) {
    Json body = Json::array(), head = Json::array();
    for (const Step& s : stage.body) body.push_back(to_json(s, plan));
    for (const Step& s : stage.head) head.push_back(to_json(s, plan));
    stages.push_back({{"name", stage.name},
                      {"body", body},
                      {"head", head},
                      {"features", stage.features},
                      {"logits", stage.logits}});
  }
  Json json{{"height", plan.height},   {"width", plan.width},     {"channels", plan.channels},
            {"classes", plan.classes}, {"buffers", plan.buffers}, {"stages", stages}};
  if (plan.learned_confidence) json["learned_confidence"] = true;
  return json;
}

// Reading. Every getter throws Error naming the key.

[[noreturn]] void bad(const std::string& what) { throw input_error(what); }

const Json& at(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) bad(std::string("key '") + key + "' is missing");
  return json.at(key);
}
i64 integer(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_number_integer()) bad(std::string("'") + key + "' is not an integer");
  if (value.is_number_unsigned() && value.get<u64>() > u64(INT64_MAX))
    bad(std::string("'") + key + "' is too large");
  return value.get<i64>();
}
u64 natural(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_number_unsigned()) bad(std::string("'") + key + "' is not a natural number");
  return value.get<u64>();
}
double number(const Json& value, const char* key) {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    bad(std::string("'") + key + "' is not a number");
  return value.get<double>();
}
float real(const Json& value, const char* key) {  // a float: beyond its range is no number either
  const double wide = number(value, key);
  if (std::fabs(wide) > double(std::numeric_limits<float>::max()))
    bad(std::string("'") + key + "' is out of range");
  return float(wide);
}
i64 amount(const Json& json, const char* key, i64 limit) {
  const i64 value = integer(json, key);
  if (value < 0 || value > limit) bad(std::string("'") + key + "' is out of range");
  return value;
}
std::string text(const Json& value, const char* key) {
  if (!value.is_string()) bad(std::string("'") + key + "' is not a text");
  return value.get<std::string>();
}
const Json& list(const Json& json, const char* key, size_t limit) {
  const Json& value = at(json, key);
  if (!value.is_array() || value.size() > limit)
    bad(std::string("'") + key + "' is not a list of acceptable length");
  return value;
}
int reference(const Json& json, const char* key) {
  const i64 value = integer(json, key);
  if (value < -1 || value > i64(kMaxBuffers)) bad(std::string("'") + key + "' is out of range");
  return int(value);
}
Act activation(i64 value) {
  if (value < 0 || value > i64(Act::sigmoid)) bad("'activation' is unknown");
  return Act(value);
}

StepDims dims_of(const std::string& op) {
  StepDims all[] = {kernels::Conv2dDims{}, kernels::DepthwiseDims{},  kernels::GemmDims{},
                    kernels::PoolDims{},   kernels::GlobalPoolDims{}, kernels::NormDims{},
                    kernels::ActDims{},    kernels::BinaryDims{},     kernels::ResizeDims{},
                    kernels::SoftmaxDims{}};
  for (const StepDims& dims : all)
    if (op == op_name(dims)) return dims;
  bad("unknown step '" + op + "'");
}

template <class T>
T field_value(i64 value, const char* name) {
  if constexpr (std::is_same_v<T, Act>) {
    return activation(value);
  } else if constexpr (std::is_enum_v<T> || std::is_same_v<T, bool>) {  // the enums of dims have two values
    if (value != 0 && value != 1) bad(std::string("'dim_") + name + "' is neither 0 nor 1");
    return T(value);
  } else {
    return T(value);
  }
}

Step step_from(const Json& json, const std::map<std::string, int>& weights) {
  Step step{.dims = dims_of(text(at(json, "op"), "op"))};
  visit_fields(step.dims, [&](const char* name, auto& value) {
    value = field_value<std::remove_reference_t<decltype(value)>>(
        integer(json, (std::string("dim_") + name).c_str()), name);
  });
  for (const auto& [name, ref] : kBufferRefs)
    if (json.contains(name)) step.*ref = reference(json, name);
  for (const auto& [name, ref] : kWeightRefs) {
    if (!json.contains(name)) continue;
    const std::string weight = text(json.at(name), name);
    const auto found = weights.find(weight);
    if (found == weights.end()) bad("there is no tensor '" + weight + "'");
    step.*ref = found->second;
  }
  if (json.contains("eps")) step.eps = real(json.at("eps"), "eps");
  if (json.contains("activation")) step.act = activation(integer(json, "activation"));
  return step;
}

bool truth(const Json& json, const char* key) {
  const Json& value = at(json, key);
  if (!value.is_boolean()) bad(std::string("'") + key + "' is neither true nor false");
  return value.get<bool>();
}

Plan plan_from(const Json& json, i64 version, std::map<std::string, Tensor> tensors) {
  Plan plan{.height = integer(json, "height"),
            .width = integer(json, "width"),
            .channels = integer(json, "channels"),
            .classes = integer(json, "classes"),
            .learned_confidence = version >= kLearnedVersion && truth(json, "learned_confidence")};
  for (const Json& floats : list(json, "buffers", kMaxBuffers)) {
    if (!floats.is_number_integer()) bad("'buffers' holds something that is not an integer");
    plan.buffers.push_back(floats.get<i64>());
  }
  std::map<std::string, int> weights;
  for (auto& [name, tensor] : tensors) {
    weights[name] = int(plan.weights.size());
    plan.weights.push_back({name, std::move(tensor)});
  }
  for (const Json& from : list(json, "stages", 1000)) {
    PlanStage& stage = plan.stages.emplace_back();
    stage.name = text(at(from, "name"), "name");
    for (const Json& s : list(from, "body", kMaxSteps)) stage.body.push_back(step_from(s, weights));
    for (const Json& s : list(from, "head", kMaxSteps)) stage.head.push_back(step_from(s, weights));
    stage.features = reference(from, "features");
    stage.logits = reference(from, "logits");
  }
  require_valid(plan);
  return plan;
}

Thresholds thresholds_from(const Json& json, size_t exits) {
  if (!json.is_array() || json.size() + 1 != exits)
    bad("'thresholds' must hold " + std::to_string(exits - 1) + " values, one per early exit");
  Thresholds thresholds;
  for (const Json& t : json)
    thresholds.push_back(t.is_null() ? std::nullopt : std::optional<float>(real(t, "thresholds")));
  return thresholds;
}

void read_calibration(ExitRule& rule, const Json& json, size_t exits) {
  for (const Json& t : list(json, "temperature", exits)) rule.temperature.push_back(real(t, "temperature"));
  if (!rule.temperature.empty() && rule.temperature.size() != exits)
    bad("'temperature' must hold one value per exit, or none");
  for (float t : rule.temperature)
    if (!(t > 0)) bad("'temperature' must be positive");
  rule.cascade = truth(json, "cascade");
}

Model model_from(const Json& json, std::map<std::string, Tensor> tensors) {
  const i64 version = integer(json, "format_version");
  if (version < kPlainVersion || version > kLearnedVersion)
    bad("format version " + std::to_string(version) + " is not one that this program reads (" +
        std::to_string(kPlainVersion) + " to " + std::to_string(kLearnedVersion) + ")");
  Model model;
  auto plan = std::make_shared<Plan>(plan_from(at(json, "plan"), version, std::move(tensors)));
  model.plan = plan;
  const size_t exits = exit_costs(*plan).size();
  model.space = text(at(json, "space"), "space");
  for (const Json& gene : list(json, "genotype", 10'000)) {
    if (!gene.is_number_integer() || gene.get<i64>() < 0 || gene.get<i64>() > 1'000'000)
      bad("'genotype' is damaged");
    model.genotype.push_back(gene.get<i32>());
  }
  for (const Json& name : list(json, "class_names", 1'000'000))
    model.class_names.push_back(text(name, "class_names"));
  if (i64(model.class_names.size()) != plan->classes) bad("'class_names' must name every class");
  for (const char* key : {"mean", "std"}) {
    std::vector<float>& values = key[0] == 'm' ? model.mean : model.std;
    for (const Json& v : list(json, key, 10'000)) values.push_back(real(v, key));
    if (i64(values.size()) != plan->channels)
      bad(std::string("'") + key + "' must hold one value per channel");
  }
  for (float s : model.std)
    if (!(s > 0)) bad("'std' must be positive");
  model.rule.confidence = parse_confidence(text(at(json, "confidence"), "confidence"));
  model.rule.require_learned(plan->learned_confidence);
  if (version > kPlainVersion) read_calibration(model.rule, json, exits);
  model.thresholds = thresholds_from(at(json, "thresholds"), exits);
  model.curve_samples = amount(json, "curve_samples", kMaxSamples);
  for (const Json& p : list(json, "curve", kMaxCurve))
    model.curve.push_back({thresholds_from(at(p, "thresholds"), exits), number(at(p, "accuracy"), "accuracy"),
                           amount(p, "total_macs", INT64_MAX)});
  if (!model.curve.empty() && model.curve_samples < 1) bad("'curve_samples' is damaged");
  model.data = text(at(json, "data"), "data");
  model.split_seed = natural(json, "split_seed");
  model.train_samples = amount(json, "train_samples", kMaxSamples);
  model.tune_samples = amount(json, "tune_samples", kMaxSamples);
  model.seed = natural(json, "seed");
  model.build = text(at(json, "build"), "build");
  return model;
}

// Copies of a value recurse, so depth is bounded before there is a value.
Json parsed(const std::string& text) {
  constexpr int kMaxDepth = 16;
  const Json json = Json::parse(
      text,
      [](int depth, Json::parse_event_t, Json&) {
        if (depth > kMaxDepth) bad("the 'offramp' entry in its metadata is nested too deeply");
        return true;
      },
      /*allow_exceptions=*/false);
  if (json.is_discarded()) bad("the 'offramp' entry in its metadata is not JSON");
  return json;
}

}  // namespace

Model load_model(const std::string& path) {
  SafeTensors file = read_safetensors(path);
  const auto found = file.metadata.find("offramp");
  if (found == file.metadata.end())
    bad(path + ": not an offramp model: there is no 'offramp' entry in its metadata");
  try {
    return model_from(parsed(found->second), std::move(file.tensors));
  } catch (const Error& e) {
    bad(path + ": " + e.what());
  } catch (const nlohmann::json::exception& e) {
    bad(path + ": damaged metadata: " + e.what());
  }
}

void save_model(const std::string& path, const Model& model) {
  const Plan& plan = *model.plan;
  Json curve = Json::array();
  for (const CurvePoint& p : model.curve)
    curve.push_back(
        {{"thresholds", to_json(p.thresholds)}, {"accuracy", p.accuracy}, {"total_macs", p.total_macs}});
  const bool plain = model.rule.temperature.empty() && !model.rule.cascade && !plan.learned_confidence;
  const int version = plan.learned_confidence ? kLearnedVersion : plain ? kPlainVersion : kRuleVersion;
  Json json{{"format_version", version},
            {"space", model.space},
            {"genotype", model.genotype},
            {"plan", to_json(plan)},
            {"class_names", model.class_names},
            {"mean", model.mean},
            {"std", model.std},
            {"confidence", confidence_name(model.rule.confidence)},
            {"thresholds", to_json(model.thresholds)},
            {"curve", curve},
            {"curve_samples", model.curve_samples},
            {"data", model.data},
            {"split_seed", model.split_seed},
            {"train_samples", model.train_samples},
            {"tune_samples", model.tune_samples},
            {"seed", model.seed},
            {"build", model.build}};
  if (!plain) {
    json["temperature"] = model.rule.temperature;
    json["cascade"] = model.rule.cascade;
  }
  SafeTensors file;
  for (const PlanWeight& w : plan.weights) file.tensors[w.name] = w.value;
  file.metadata["offramp"] = json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  write_safetensors(path, file);
}

}  // namespace offramp::nn
