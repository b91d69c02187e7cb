#include "nas/search/config.h"

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/parse.h"
#include "nas/search/recipes.h"
#include "nas/search/samplers.h"
#include "nas/surrogate/surrogate.h"
#include "nas/thresholds/tuner.h"
#include "nas/toml.h"
#include "tensor/file.h"

namespace offramp::nas {
namespace {

struct Key {
  std::string name;
  std::function<std::string(const SearchConfig&)> get;  // as TOML spells it
  std::function<void(SearchConfig&, const std::string&)> set;
};

std::string spell(double v) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, v);
  std::string out(text, end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

// One line per key: where it lives and what it accepts.
class Keys {
 public:
  Keys() {
    text(
        "data", [](auto& c) -> auto& { return c.data; });
    text(
        "space", [](auto& c) -> auto& { return c.space; });
    text(
        "recipe", [](auto& c) -> auto& { return c.recipe; }, recipe_names());
    text("objective", [](auto& c) -> auto& { return c.objective; }, {"macs", "latency"});
    count(
        "target_macs", [](auto& c) -> auto& { return c.target_macs; }, 0);
    all.push_back({"seed",
                   [](const SearchConfig& c) {  // TOML's integers end at 2^63 - 1
                     const std::string digits = std::to_string(c.seed);
                     return c.seed > u64(std::numeric_limits<i64>::max()) ? quoted(digits) : digits;
                   },
                   [](SearchConfig& c, const std::string& v) { c.seed = parse_seed(v, "seed"); }});
    number(
        "limits.latency_us", [](auto& c) -> auto& { return c.limits.latency_us; }, 0, 1e12);
    count(
        "limits.macs", [](auto& c) -> auto& { return c.limits.macs; }, 0);
    count(
        "limits.params", [](auto& c) -> auto& { return c.limits.params; }, 0);
    count(
        "limits.memory", [](auto& c) -> auto& { return c.limits.memory; }, 0);
    count(
        "supernet.epochs", [](auto& c) -> auto& { return c.supernet.epochs; }, 0);
    number(
        "supernet.lr", [](auto& c) -> auto& { return c.supernet.lr; }, 0, 100);
    count(
        "supernet.random_subnets", [](auto& c) -> auto& { return c.supernet.random_subnets; }, 0);
    number(
        "supernet.distill", [](auto& c) -> auto& { return c.supernet.distill; }, 0, 1);
    count(
        "search.evals", [](auto& c) -> auto& { return c.search.evals; }, 1);
    count(
        "search.population", [](auto& c) -> auto& { return c.search.population; }, 2);
    text(
        "search.sampler", [](auto& c) -> auto& { return c.search.sampler; }, sampler_names());
    text(
        "search.surrogate", [](auto& c) -> auto& { return c.search.surrogate; }, surrogate_kinds());
    text("search.learn", [](auto& c) -> auto& { return c.search.learn; }, {"shares", "objectives"});
    text("search.inner", [](auto& c) -> auto& { return c.search.inner; }, {"objectives", "deviation"});
    text("search.subset", [](auto& c) -> auto& { return c.search.subset; }, {"hypervolume", "gaps"});
    count(
        "search.initial", [](auto& c) -> auto& { return c.search.initial; }, 2);
    count(
        "search.batch", [](auto& c) -> auto& { return c.search.batch; }, 1);
    count(
        "search.inner_population", [](auto& c) -> auto& { return c.search.inner_population; }, 2);
    count(
        "search.inner_generations", [](auto& c) -> auto& { return c.search.inner_generations; }, 1);
    number(
        "search.tolerance", [](auto& c) -> auto& { return c.search.tolerance; }, 0, 1);
    text("candidate.init", [](auto& c) -> auto& { return c.candidate.init; }, {"inherit", "scratch"});
    count(
        "candidate.epochs", [](auto& c) -> auto& { return c.candidate.epochs; }, 0);
    number(
        "candidate.lr", [](auto& c) -> auto& { return c.candidate.lr; }, 0, 100);
    number_or_train(
        "candidate.warmup", [](auto& c) -> auto& { return c.candidate.warmup; }, 0, 1);
    number_or_train(
        "candidate.weight_decay", [](auto& c) -> auto& { return c.candidate.weight_decay; }, 0, 1);
    number_or_train(
        "candidate.clip", [](auto& c) -> auto& { return c.candidate.clip; }, 0, 1e9);
    count(
        "candidate.recalibrate", [](auto& c) -> auto& { return c.candidate.recalibrate; }, 1);
    number(
        "candidate.seconds", [](auto& c) -> auto& { return c.candidate.seconds; }, 0, 1e9);
    count(
        "candidate.rss", [](auto& c) -> auto& { return c.candidate.rss; }, 0);
    text("final.init", [](auto& c) -> auto& { return c.final.init; }, {"candidate", "inherit", "scratch"});
    count(
        "final.epochs", [](auto& c) -> auto& { return c.final.epochs; }, 0);
    count(
        "final.count", [](auto& c) -> auto& { return c.final.count; }, 1);
    number(
        "final.lr", [](auto& c) -> auto& { return c.final.lr; }, 0, 100);
    count(
        "final.recalibrate", [](auto& c) -> auto& { return c.final.recalibrate; }, 1);
    count(
        "train.samples", [](auto& c) -> auto& { return c.train.samples; }, 0);
    count(
        "train.batch", [](auto& c) -> auto& { return c.train.batch; }, 2);
    count(
        "train.epochs", [](auto& c) -> auto& { return c.train.epochs; }, 0);
    number(
        "train.lr", [](auto& c) -> auto& { return c.train.lr; }, 0, 100);
    number(
        "train.momentum", [](auto& c) -> auto& { return c.train.momentum; }, 0, 0.9999);
    number(
        "train.weight_decay", [](auto& c) -> auto& { return c.train.weight_decay; }, 0, 1);
    number(
        "train.warmup", [](auto& c) -> auto& { return c.train.warmup; }, 0, 1);
    number(
        "train.label_smoothing", [](auto& c) -> auto& { return c.train.label_smoothing; }, 0, 0.99);
    number(
        "train.clip", [](auto& c) -> auto& { return c.train.clip; }, 0, 1e9);
    number(
        "train.distill", [](auto& c) -> auto& { return c.train.distill; }, 0, 1);
    number(
        "train.ema", [](auto& c) -> auto& { return c.train.ema; }, 0, 0.999999);
    truth(
        "train.augment", [](auto& c) -> auto& { return c.train.augment; });
    count(
        "tune.samples", [](auto& c) -> auto& { return c.tune.samples; }, 0);
    text("tune.confidence", [](auto& c) -> auto& { return c.tune.confidence; },
         {"margin", "max_probability", "max_prob", "entropy", "patience", "cumulative"});
    truth(
        "tune.calibrate", [](auto& c) -> auto& { return c.tune.calibrate; });
    truth(
        "tune.cascade", [](auto& c) -> auto& { return c.tune.cascade; });
    text(
        "tune.kind", [](auto& c) -> auto& { return c.tune.kind; }, tune_kinds());
    number(
        "tune.min_accuracy", [](auto& c) -> auto& { return c.tune.min_accuracy; }, 0, 1);
    text("tune.penalty", [](auto& c) -> auto& { return c.tune.penalty; }, {"two-sided", "one-sided"});
  }

  std::vector<Key> all;

 private:
  template <class Where>
  void text(const std::string& name, Where where, std::vector<std::string> allowed = {}) {
    all.push_back({name, [where](const SearchConfig& c) { return quoted(where(c)); },
                   [name, where, allowed](SearchConfig& c, const std::string& v) {
                     if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), v) == allowed.end()) {
                       std::string list;
                       for (const auto& a : allowed) list += (list.empty() ? "" : ", ") + a;
                       const std::string near = nearest(v, allowed);
                       throw usage_error(name + ": this build knows " + list + ", got '" + v + "'" +
                                         (near.empty() ? "" : ", did you mean '" + near + "'?"));
                     }
                     where(c) = v;
                   }});
  }
  template <class Where>
  void truth(const std::string& name, Where where) {
    all.push_back({name, [where](const SearchConfig& c) { return where(c) ? "true" : "false"; },
                   [name, where](SearchConfig& c, const std::string& v) {
                     if (v != "true" && v != "false")
                       throw usage_error(name + ": wanted true or false, got '" + v + "'");
                     where(c) = v == "true";
                   }});
  }
  template <class Where>
  void count(const std::string& name, Where where, i64 least) {
    all.push_back({name, [where](const SearchConfig& c) { return std::to_string(where(c)); },
                   [name, where, least](SearchConfig& c, const std::string& v) {
                     const i64 value = parse_count(v, name);
                     if (value < least)
                       throw usage_error(name + ": wanted at least " + std::to_string(least) + ", got '" + v +
                                         "'");
                     where(c) = value;
                   }});
  }
  template <class Where>
  void number(const std::string& name, Where where, double low, double high) {
    all.push_back({name, [where](const SearchConfig& c) { return spell(where(c)); },
                   [name, where, low, high](SearchConfig& c, const std::string& v) {
                     where(c) = number_between(name, v, low, high);
                   }});
  }
  template <class Where>
  void number_or_train(const std::string& name, Where where, double low, double high) {
    all.push_back(
        {name, [where](const SearchConfig& c) { return where(c) ? spell(*where(c)) : quoted("train"); },
         [name, where, low, high](SearchConfig& c, const std::string& v) {
           where(c) = v == "train" ? std::nullopt : std::optional(number_between(name, v, low, high));
         }});
  }
  static double number_between(const std::string& name, const std::string& v, double low, double high) {
    const double value = parse_number(v, name);
    if (value < low || value > high)
      throw usage_error(name + ": wanted " + spell(low) + " to " + spell(high) + ", got '" + v + "'");
    return value;
  }
  static std::string quoted(const std::string& value) {
    std::string out = "\"";
    for (char ch : value) {
      if (ch == '"' || ch == '\\') out += '\\';
      if (static_cast<unsigned char>(ch) < 0x20) continue;  // no control characters in a name
      out += ch;
    }
    return out + "\"";
  }
};

const std::vector<Key>& keys() {
  static const Keys table;
  return table.all;
}

std::string literal(const toml::node& node, const std::string& key) {
  if (const auto* v = node.as_string()) return v->get();
  if (const auto* v = node.as_integer()) return std::to_string(v->get());
  if (const auto* v = node.as_floating_point()) return spell(v->get());
  if (const auto* v = node.as_boolean()) return v->get() ? "true" : "false";
  throw usage_error(key + ": wanted a text, number or truth value");
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
  return !candidates_from_scratch(config) || !finals_from_scratch(config);
}

void require_consistent(const SearchConfig& config) {
  if (candidates_from_scratch(config) && config.candidate.epochs == 0)
    throw usage_error("candidate.init=scratch: untrained candidates say nothing; set candidate.epochs too");
  if (config.tune.kind == "grid" && config.target_macs == 0)
    throw usage_error("tune.kind=grid tunes towards a target: set target_macs (--target-macs) too");
}

void set_key(SearchConfig& config, const std::string& key, const std::string& value) {
  for (const Key& k : keys())
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
  for (const Key& k : keys()) {
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
  for (const Key& k : keys()) names.push_back(k.name);
  return names;
}

}  // namespace offramp::nas
