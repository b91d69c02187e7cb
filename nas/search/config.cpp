#include "nas/search/config.h"

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/parse.h"
#include "nas/search/config_kinds.h"
#include "nas/search/halving.h"
#include "nas/search/objectives.h"
#include "nas/space/model.h"
#include "nas/space/space.h"
#include "nas/thresholds/tuner.h"
#include "nas/toml.h"
#include "nn/plan/confidence.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

std::string literal(const toml::node& node, const std::string& key) {
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* v = node.as_integer()) return std::to_string(v->get());
  if (const auto* v = node.as_floating_point()) return spell(v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::string joined;
    for (const toml::node& item : *list) {
      if (item.is_array()) throw usage_error(key + ": wanted a list without lists in it");
      joined += (joined.empty() ? "" : ",") + literal(item, key);
    }
    return joined;
  }
  throw usage_error(key + ": wanted a text, number, truth value or list of them");
}

void read_table(SearchConfig& config, const toml::table& table, const std::string& prefix,
                const std::string& path) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const auto* inner = node.as_table()) {
      read_table(config, *inner, key + ".", path);
      continue;
    }
    try {
      set_key(config, key, literal(node, key));
    } catch (const Error& e) {
      throw input_error(path + ":" + std::to_string(node.source().begin.line) + ": " + e.what());
    }
  }
}

}  // namespace

bool candidates_from_scratch(const SearchConfig& config) { return config.candidate.init == "scratch"; }
bool finals_from_scratch(const SearchConfig& config) {
  return config.final.init == "candidate" ? candidates_from_scratch(config) : config.final.init == "scratch";
}
bool wants_supernet(const SearchConfig& config) {
  return !candidates_from_scratch(config) || !finals_from_scratch(config) ||
         config.train.teacher == "supernet";
}

void require_consistent(const SearchConfig& config) {
  if (candidates_from_scratch(config) && config.candidate.epochs + config.candidate.backbone_epochs == 0)
    throw usage_error("candidate.init=scratch: untrained candidates say nothing; set candidate.epochs too");
  if (config.candidate.rungs > 0 && config.candidate.halving == 0)
    throw usage_error("candidate.rungs are those of successive halving: set candidate.halving too");
  rung_epochs(config);  // throws where there are not enough epochs
  if (config.target_macs > 0 && config.target_latency_us > 0)
    throw usage_error(
        "target_macs and target_latency_us exclude each other: thresholds are tuned on one cost; "
        "limits.avg_macs "
        "and limits.avg_latency_us bound the other");
  if (config.tune.kind == "grid" && !tuning_target(config))
    throw usage_error(
        "tune.kind=grid tunes towards a target: set target_macs (--target-macs) or target_latency_us too");
  if (config.train.teacher == "supernet" && (config.train.loss == "expected" || config.train.distill == 0))
    throw usage_error(
        "train.teacher=supernet has nothing to say under train.loss=expected or train.distill=0");
  if (config.train.equilibrium && config.train.freeze_backbone)
    throw usage_error(
        "train.equilibrium is about gradients in the trunk, and train.freeze_backbone leaves none");
}

void require_consistent(const SearchConfig& config, const Space& space) {
  require_consistent(config);
  if (config.tune.kind == tune_kind_name(TuneKind::genes)) {
    const Genotype every_exit = space.max_genotype();
    for (i64 e = 0; e < space.exits(); ++e)
      if (!space.threshold_gene(every_exit, e))
        throw usage_error("tune.kind=genes: space " + space.name() + " has no threshold gene for its exit " +
                          space.exit_name(e));
  }
  if (space.model().learned_confidence) return;
  const bool by_loss = config.train.loss == "expected";
  if (by_loss || nn::is_learned(nn::parse_confidence(config.tune.confidence)))
    throw usage_error((by_loss ? "train.loss=expected" : "tune.confidence=" + config.tune.confidence) +
                      " wants exits that learn a confidence, and those of the space '" + space.name() +
                      "' do not: learned_confidence = true in its file");
}

void set_key(SearchConfig& config, const std::string& key, const std::string& value) {
  for (const Key& k : config_key_table())
    if (k.name == key) return k.set(config, value);
  const std::string near = nearest(key, config_keys());
  throw usage_error("unknown configuration key '" + key + "'" +
                    (near.empty() ? "" : ", did you mean '" + near + "'?"));
}

void set_assignment(SearchConfig& config, const std::string& assignment) {
  const auto [key, value] = split_assignment(assignment, "--set");
  set_key(config, key, value);
}

void read_config_text(SearchConfig& config, const std::string& text, const std::string& path) {
  read_table(config, parse_toml(text, path), "", path);
}

void read_config(SearchConfig& config, const std::string& path) {
  read_config_text(config, read_file(path, i64{1} << 20), path);
}

std::string to_toml(const SearchConfig& config) {
  std::string out, section;
  for (const Key& k : config_key_table()) {
    const auto dot = k.name.find('.');
    const std::string in = dot == std::string::npos ? "" : k.name.substr(0, dot);
    if (in != section) {
      section = in;
      out += "\n[" + in + "]\n";
    }
    out += k.name.substr(dot == std::string::npos ? 0 : dot + 1) + " = " + k.get(config) + "\n";
  }
  return out;
}

std::vector<std::string> config_keys() {
  std::vector<std::string> names;
  for (const Key& k : config_key_table()) names.push_back(k.name);
  return names;
}

}  // namespace offramp::nas
