#include <array>
#include <string>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/cli/verb.h"

namespace offramp::cli {
namespace {

constexpr auto kVerbs = std::to_array<Verb>({
    {"version", "what this build is and what it runs on", run_version},
    {"data", "datasets: list, info, verify", run_data},
    {"space", "search spaces: list, show, count, sample, cost, check", run_space},
    {"search", "train a supernet, search, tune thresholds, train and test the chosen networks", run_search},
    {"resume", "go on with an interrupted search", run_resume},
    {"train", "train one architecture", run_train},
    {"tune", "choose exit thresholds of a model", run_tune},
    {"eval", "accuracy, exit shares and MACs of a model", run_eval},
    {"predict", "classify images", run_predict},
    {"profile", "time every kernel call of a model", run_profile},
    {"op", "run one operator, forward and gradients, on .npy arrays", run_op},
    {"measure", "build this machine's latency table", run_measure},
    {"bench", "time every kernel row on real layer shapes", run_bench},
    {"export", "write a model in other formats", nullptr},
    {"report", "an HTML file about a run", run_report},
    {"compare", "several runs side by side", run_compare},
    {"why", "ancestry of a candidate, and what dominates it", run_why},
});

std::string listing(std::span<const Verb> list) {
  std::string present, missing;
  for (const Verb& verb : list) {
    const std::string name(verb.name);
    if (verb.run)
      present += "  " + name + std::string(10 - name.size(), ' ') + std::string(verb.summary) + "\n";
    else
      missing += " " + name;
  }
  return present + (missing.empty() ? "" : "not in this build:" + missing + "\n");
}

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

std::string overview() {
  return "offramp - search for early-exit networks, and use them\n\n"
         "examples:\n"
         "  offramp search --data fashion-mnist --space small --out run\n"
         "  offramp predict --model run/chosen.safetensors photo.png\n\n"
         "verbs:\n" +
         listing(kVerbs) + "\n'offramp VERB --help' says more about one of them.\n";
}

void dispatch(Console& console, std::span<const Verb> list, std::string_view of, const Words& words) {
  const std::string what = of.empty() ? "verb" : "action of " + std::string(of);
  if (words.empty())
    throw usage_error("no " + what + " given; 'offramp" + (of.empty() ? "" : " " + std::string(of)) +
                      " --help' lists them");
  std::vector<std::string> names;
  for (const Verb& verb : list) {
    names.emplace_back(verb.name);
    if (verb.name != words[0]) continue;
    if (!verb.run) throw usage_error("'" + words[0] + "' is not in this build");
    return verb.run(console, Words(words.begin() + 1, words.end()));
  }
  throw usage_error("unknown " + what + " '" + words[0] + "'" + did_you_mean(words[0], names));
}

void dispatch_actions(Console& console, std::span<const Verb> list, const std::string& of,
                      const std::string& summary, const std::vector<std::string>& examples,
                      const Words& words) {
  if (words.empty() || (words[0] != "--help" && words[0] != "-h")) return dispatch(console, list, of, words);
  std::string text = "offramp " + of + " - " + summary + "\n\nexamples:\n";
  for (const std::string& e : examples) text += "  " + e + "\n";
  text += "\nusage: offramp " + of + " ACTION [flags]\n" + listing(list);
  console.print(text + "\n'offramp " + of + " ACTION --help' says more about one of them.\n");
}

}  // namespace offramp::cli
