// offramp space list|show|count|sample|cost|check: inspect a search space.
#include "nas/space/space.h"

#include <array>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "nas/cli/space_cost.h"
#include "nas/cli/verb.h"

namespace offramp::cli {
namespace {

using nas::Genotype;
using nas::Space;
using nlohmann::ordered_json;

constexpr char kSpaceHelp[] = "name of a built-in space, or the path of a .toml file";

void run_list(Console& console, const Words& words) {
  Args args(console, "space list", "search spaces compiled into this binary", {"offramp space list"});
  if (!args.parse(words)) return;
  ordered_json spaces = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"space", "genes", "exits", "architectures"}};
  for (const std::string& name : Space::builtin_names()) {
    const Space space = Space::load(name);
    spaces.push_back({{"space", name},
                      {"genes", space.genes().size()},
                      {"exits", space.exits()},
                      {"architectures", space.count()}});
    rows.push_back(
        {name, std::to_string(space.genes().size()), std::to_string(space.exits()), space.count()});
  }
  if (console.options.json)
    console.print_json({{"spaces", spaces}});
  else
    console.print(table(rows));
}

void run_show(Console& console, const Words& words) {
  std::string name;
  bool toml = false;
  Args args(console, "space show", "the genes of a space and their choices",
            {"offramp space show small", "offramp space show aebnas --toml > mine.toml"});
  args.word("SPACE", name, kSpaceHelp)
      .flag("--toml", toml, "print the file itself, to start one of your own");
  if (!args.parse(words)) return;
  const Space space = Space::load(name);
  if (toml && !console.options.json) return console.print(space.text());
  ordered_json genes = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"", "gene", "choices"}};
  for (const nas::Gene& gene : space.genes()) {
    genes.push_back({{"name", gene.name}, {"values", gene.values}});
    std::string values;
    for (const std::string& v : gene.values) values += (values.empty() ? "" : " ") + v;
    rows.push_back({std::to_string(rows.size() - 1), gene.name, values});
  }
  if (console.options.json) {
    ordered_json out{{"space", space.name()}, {"genes", genes}};
    if (toml) out["toml"] = space.text();
    return console.print_json(out);
  }
  console.print(space.name() + ": " + std::to_string(space.genes().size()) + " genes, " +
                std::to_string(space.exits()) + " exits, " + space.count() + " architectures\n" +
                table(rows));
}

void run_count(Console& console, const Words& words) {
  std::string name;
  Args args(console, "space count", "how many different networks with at least one exit a space holds",
            {"offramp space count small", "offramp space count mine.toml --json"});
  args.word("SPACE", name, kSpaceHelp);
  if (!args.parse(words)) return;
  const Space space = Space::load(name);
  if (console.options.json)
    console.print_json({{"space", space.name()}, {"count", space.count()}, {"genes", space.genes().size()}});
  else
    console.print(space.count() + "\n");
}

void run_sample(Console& console, const Words& words) {
  std::string name;
  i64 count = 1;
  u64 seed = 1;
  Args args(console, "space sample", "random genotypes, uniform per gene, in canonical form",
            {"offramp space sample small -n 5 --seed 7", "offramp space sample aebnas -n 100 --json"});
  args.word("SPACE", name, kSpaceHelp)
      .option("-n,--count N", count, "how many (default 1)", 0, 10'000'000)
      .seed(seed);
  if (!args.parse(words)) return;
  const Space space = Space::load(name);
  console.note("seed " + std::to_string(seed));
  const nas::Watch watch = console.watch();
  const Rng root(seed);
  ordered_json genotypes = ordered_json::array();
  for (i64 i = 0; i < count; ++i) {
    watch.check();
    Rng rng = root.derive(u64(i));  // a longer sample begins with the shorter one
    const Genotype genotype = space.sample(rng);
    if (console.options.json)
      genotypes.push_back(genotype);
    else
      console.print(nas::to_text(genotype) + "\n");
  }
  if (console.options.json)
    console.print_json({{"space", space.name()}, {"seed", seed}, {"genotypes", genotypes}});
}

void run_check(Console& console, const Words& words) {
  std::string path;
  Args args(console, "space check",
            "validate a space file: exit code 3 and line and key of the first mistake",
            {"offramp space check mine.toml"});
  args.word("FILE", path, "a space file; the name of a built-in space works too");
  if (!args.parse(words)) return;
  // A path without a slash is still a path here.
  const std::vector<std::string> known = Space::builtin_names();
  const bool builtin = std::find(known.begin(), known.end(), path) != known.end();
  const Space space = Space::load(builtin || path.find('/') != std::string::npos ? path : "./" + path);
  // A file may be well formed and still describe a network that cannot be built.
  space.decode(space.max_genotype());
  space.decode(space.min_genotype());
  if (console.options.json)
    console.print_json({{"file", path},
                        {"ok", true},
                        {"space", space.name()},
                        {"genes", space.genes().size()},
                        {"exits", space.exits()},
                        {"count", space.count()}});
  else
    console.print(path + ": ok, space '" + space.name() + "', " + std::to_string(space.genes().size()) +
                  " genes, " + std::to_string(space.exits()) + " exits, " + space.count() +
                  " architectures\n");
}

constexpr auto kActions = std::to_array<Verb>({
    {"list", "search spaces compiled into this binary", run_list},
    {"show", "the genes of a space and their choices", run_show},
    {"count", "how many different networks a space holds", run_count},
    {"sample", "random genotypes", run_sample},
    {"cost", "exact MACs and parameters of one genotype", run_space_cost},
    {"check", "validate a space file", run_check},
});

}  // namespace

void run_space(Console& console, const Words& words) {
  dispatch_actions(console, kActions, "space", "inspect a search space",
                   {"offramp space show small", "offramp space sample small -n 3 --seed 7"}, words);
}

}  // namespace offramp::cli
