// The list of configuration keys: where each lives and what it accepts.
#include <charconv>
#include <limits>

#include "nas/search/config_kinds.h"
#include "nas/search/objectives.h"
#include "nas/search/recipes.h"
#include "nas/search/samplers.h"
#include "nas/surrogate/surrogate.h"
#include "nas/thresholds/tuner.h"

namespace offramp::nas {
namespace {

class Keys : public KeyList {
 public:
  Keys() {
    text(
        "data", [](auto& c) -> auto& { return c.data; });
    text(
        "space", [](auto& c) -> auto& { return c.space; });
    text(
        "recipe", [](auto& c) -> auto& { return c.recipe; }, recipe_names());
    all.push_back(
        {"objective", [](const SearchConfig& c) { return quoted(c.objective); },
         [](SearchConfig& c, const std::string& v) { c.objective = text_of(parse_objectives(v)); }});
    count(
        "target_macs", [](auto& c) -> auto& { return c.target_macs; }, 0);
    number(
        "target_latency_us", [](auto& c) -> auto& { return c.target_latency_us; }, 0, 1e12);
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
    number(
        "limits.avg_latency_us", [](auto& c) -> auto& { return c.limits.avg_latency_us; }, 0, 1e12);
    count(
        "limits.avg_macs", [](auto& c) -> auto& { return c.limits.avg_macs; }, 0);
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
    text("search.surrogate_scale", [](auto& c) -> auto& { return c.search.surrogate_scale; },
         {"normal", "raw"});
    text("search.learn", [](auto& c) -> auto& { return c.search.learn; }, {"shares", "objectives"});
    text("search.inner", [](auto& c) -> auto& { return c.search.inner; }, {"objectives", "deviation"});
    text("search.subset", [](auto& c) -> auto& { return c.search.subset; }, {"hypervolume", "gaps"});
    truth(
        "search.extremes", [](auto& c) -> auto& { return c.search.extremes; });
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
    count(
        "search.training_macs", [](auto& c) -> auto& { return c.search.training_macs; }, 0);
    text("candidate.init", [](auto& c) -> auto& { return c.candidate.init; }, {"inherit", "scratch"});
    count(
        "candidate.epochs", [](auto& c) -> auto& { return c.candidate.epochs; }, 0);
    count(
        "candidate.halving", [](auto& c) -> auto& { return c.candidate.halving; }, 0);
    count(
        "candidate.rungs", [](auto& c) -> auto& { return c.candidate.rungs; }, 0);
    number(
        "candidate.lr", [](auto& c) -> auto& { return c.candidate.lr; }, 0, 100);
    count(
        "candidate.backbone_epochs", [](auto& c) -> auto& { return c.candidate.backbone_epochs; }, 0);
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
        "final.backbone_epochs", [](auto& c) -> auto& { return c.final.backbone_epochs; }, 0);
    number_or_train(
        "final.warmup", [](auto& c) -> auto& { return c.final.warmup; }, 0, 1);
    number_or_train(
        "final.weight_decay", [](auto& c) -> auto& { return c.final.weight_decay; }, 0, 1);
    number_or_train(
        "final.clip", [](auto& c) -> auto& { return c.final.clip; }, 0, 1e9);
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
    count(
        "train.backbone_epochs", [](auto& c) -> auto& { return c.train.backbone_epochs; }, 0);
    truth(
        "train.freeze_backbone", [](auto& c) -> auto& { return c.train.freeze_backbone; });
    text("train.schedule", [](auto& c) -> auto& { return c.train.schedule; }, {"cosine", "constant"});
    text("train.optimizer", [](auto& c) -> auto& { return c.train.optimizer; }, {"sgd", "adamw"});
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
    text("train.teacher", [](auto& c) -> auto& { return c.train.teacher; }, {"final", "supernet"});
    text("train.loss", [](auto& c) -> auto& { return c.train.loss; }, {"sum", "weighted", "expected"});
    weights(
        "train.exit_weights", [](auto& c) -> auto& { return c.train.exit_weights; });
    truth(
        "train.equilibrium", [](auto& c) -> auto& { return c.train.equilibrium; });
    number(
        "train.ema", [](auto& c) -> auto& { return c.train.ema; }, 0, 0.999999);
    truth(
        "train.augment", [](auto& c) -> auto& { return c.train.augment; });
    number(
        "confidence.classes", [](auto& c) -> auto& { return c.confidence.classes; }, 0, 1e6);
    number(
        "confidence.truth", [](auto& c) -> auto& { return c.confidence.truth; }, 0, 1e6);
    number(
        "confidence.cost", [](auto& c) -> auto& { return c.confidence.cost; }, 0, 1e6);
    truth(
        "confidence.cost_gradient", [](auto& c) -> auto& { return c.confidence.cost_gradient; });
    number(
        "confidence.peak", [](auto& c) -> auto& { return c.confidence.peak; }, 0, 1e6);
    number(
        "confidence.support", [](auto& c) -> auto& { return c.confidence.support; }, 0, 0.9);
    count(
        "confidence.warmup", [](auto& c) -> auto& { return c.confidence.warmup; }, 0);
    count(
        "tune.samples", [](auto& c) -> auto& { return c.tune.samples; }, 0);
    text("tune.confidence", [](auto& c) -> auto& { return c.tune.confidence; },
         {"margin", "max_probability", "max_prob", "entropy", "patience", "cumulative", "learned",
          "learned_cumulative"});
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
};

}  // namespace

const std::vector<Key>& config_key_table() {
  static const Keys table;
  return table.all;
}

std::string spell(double v) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, v);
  std::string out(text, end);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

double KeyList::number_between(const std::string& name, const std::string& v, double low, double high) {
  const double value = parse_number(v, name);
  if (value < low || value > high)
    throw usage_error(name + ": wanted " + spell(low) + " to " + spell(high) + ", got '" + v + "'");
  return value;
}

std::string KeyList::quoted(const std::string& value) {
  std::string out = "\"";
  for (char ch : value) {
    if (ch == '"' || ch == '\\') out += '\\';
    if (static_cast<unsigned char>(ch) < 0x20) continue;  // no control characters in a name
    out += ch;
  }
  return out + "\"";
}

}  // namespace offramp::nas
