#include "nas/space/space.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "nas/space/walk.h"

namespace offramp::nas {
namespace {

std::string label(const Choice& choice, std::size_t i) {
  if (!choice.labels.empty()) return choice.labels[i];
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", choice.values[i]);
  return text;
}

constexpr std::size_t kMaxFile = 1 << 20;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxFile + 1, '\0');
  if (in) in.read(text.data(), std::streamsize(text.size()));
  // A folder opens, but cannot be read: only the end of the file may have stopped the reading.
  if (in.bad() || (!in && !in.eof()) || !in.is_open())
    throw input_error(path + ": wanted a search space (TOML file), got nothing that can be read");
  text.resize(std::size_t(in.gcount()));
  if (text.size() > kMaxFile)
    throw input_error(path + ": wanted a search space of at most 1 MiB, got a larger file");
  return text;
}

std::string plural(std::size_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace

std::string to_text(const Genotype& genotype) {
  std::string text;
  for (const i32 v : genotype) {
    if (!text.empty()) text += ',';
    text += std::to_string(v);
  }
  return text;
}

Space::Space(SpaceModel model) {
  for_each_choice(model, [&](Choice& choice, const std::string& name) {
    if (choice.values.size() < 2) return;
    choice.gene = i64(genes_.size());
    Gene gene{.name = name, .values = {}};
    std::vector<i32> first;
    for (std::size_t i = 0; i < choice.values.size(); ++i) {
      gene.values.push_back(label(choice, i));
      const auto at = std::find(choice.values.begin(), choice.values.end(), choice.values[i]);
      first.push_back(i32(at - choice.values.begin()));
    }
    genes_.push_back(std::move(gene));
    first_equal_.push_back(std::move(first));
  });
  for (const ExitModel& exit : model.exits) exit_names_.push_back(stage_name(exit.after - 1));
  model_ = std::make_shared<const SpaceModel>(std::move(model));
}

Space Space::parse(std::string text, std::string path) {
  Space space(parse_space(std::move(text), path));
  // Building the largest networks finds what no single key shows: too many parameters, too large a map.
  try {
    for (const Genotype& g : space.covering_genotypes()) space.decode(g, {.classes = 1000, .channels = 3});
    space.decode(space.min_genotype(), {.classes = 10, .channels = 1});
  } catch (const Error& e) {
    throw input_error(path + ": " + e.what());
  }
  return space;
}

Space Space::load(const std::string& name_or_path) {
  const bool file = name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".toml");
  if (file) return parse(read_file(name_or_path), name_or_path);
  for (const BuiltinSpace& builtin : builtin_spaces())
    if (name_or_path == builtin.name) return parse(builtin.text, name_or_path + ".toml");
  const std::vector<std::string> names = builtin_names();
  throw usage_error("space: wanted the name of a space or a .toml file, got '" + name_or_path + "'" +
                    did_you_mean(name_or_path, names));
}

std::vector<std::string> Space::builtin_names() {
  std::vector<std::string> names;
  for (const BuiltinSpace& builtin : builtin_spaces()) names.emplace_back(builtin.name);
  std::sort(names.begin(), names.end());
  return names;
}

const std::string& Space::name() const { return model_->name; }
const std::string& Space::text() const { return model_->text; }

void Space::require(const Genotype& genotype) const {
  if (genotype.size() != genes_.size())
    throw usage_error("genotype of space " + name() + ": wanted " + plural(genes_.size(), "gene") + ", got " +
                      std::to_string(genotype.size()));
  for (std::size_t i = 0; i < genes_.size(); ++i)
    if (genotype[i] < 0 || std::size_t(genotype[i]) >= genes_[i].values.size())
      throw usage_error("genotype of space " + name() + ": gene " + std::to_string(i) + " (" +
                        genes_[i].name + "): wanted 0.." + std::to_string(genes_[i].values.size() - 1) +
                        ", got " + std::to_string(genotype[i]));
}

Genotype Space::from_text(std::string_view text) const {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  Genotype genotype;
  std::size_t at = 0;
  bool blank = std::all_of(text.begin(), text.end(), is_space);
  while (!blank && at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::string_view word = text.substr(at, comma - at);
    while (!word.empty() && is_space(word.front())) word.remove_prefix(1);
    while (!word.empty() && is_space(word.back())) word.remove_suffix(1);
    i32 value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size())
      throw usage_error("genotype: wanted whole numbers with commas between them, got '" +
                        std::string(word.substr(0, 20)) + "' at position " + std::to_string(genotype.size()));
    genotype.push_back(value);
    at = comma + 1;
  }
  require(genotype);
  return genotype;
}

Genotype Space::canonical(const Genotype& genotype) const {
  require(genotype);
  Genotype result(genotype.size(), 0);
  for_each_expressed(*model_, genotype, [&](const Choice& choice) {
    if (!choice.searched()) return;
    const std::size_t gene = std::size_t(choice.gene);
    result[gene] = first_equal_[gene][std::size_t(genotype[gene])];
  });
  return result;
}

std::vector<bool> Space::expressed(const Genotype& genotype) const {
  require(genotype);
  std::vector<bool> result(genotype.size(), false);
  for_each_expressed(*model_, genotype, [&](const Choice& choice) {
    if (choice.searched()) result[std::size_t(choice.gene)] = true;
  });
  return result;
}

i64 Space::exits() const { return i64(model_->exits.size()); }
i64 Space::stage_of_exit(i64 exit) const { return model_->exits.at(std::size_t(exit)).after - 1; }

bool Space::can_switch_off(i64 exit) const {
  const ExitModel& e = model_->exits.at(std::size_t(exit));
  return std::any_of(e.presence.values.begin(), e.presence.values.end(), [&](double v) { return !e.on(v); });
}

bool Space::exit_on(const Genotype& genotype, i64 exit) const {
  require(genotype);
  const ExitModel& e = model_->exits.at(std::size_t(exit));
  return e.on(value_of(e.presence, genotype));
}

bool Space::any_exit_on(const Genotype& genotype) const {
  for (i64 e = 0; e < exits(); ++e)
    if (exit_on(genotype, e)) return true;
  return false;
}

std::optional<double> Space::threshold_gene(const Genotype& genotype, i64 exit) const {
  if (!exit_on(genotype, exit) || !model_->exits[std::size_t(exit)].threshold) return std::nullopt;
  return value_of(model_->exits[std::size_t(exit)].presence, genotype);
}

Genotype Space::with_exit(const Genotype& genotype, i64 exit, bool on) const {
  if (exit_on(genotype, exit) == on) return canonical(genotype);
  const Choice& presence = model_->exits[std::size_t(exit)].presence;
  for (std::size_t i = 0; i < presence.values.size(); ++i) {
    if (model_->exits[std::size_t(exit)].on(presence.values[i]) != on) continue;
    Genotype result = genotype;
    result[std::size_t(presence.gene)] = i32(i);
    return canonical(result);
  }
  throw usage_error("space " + name() + ": wanted an exit that can be switched " + (on ? "on" : "off") +
                    ", got " + exit_name(exit));
}

Genotype Space::with_threshold(const Genotype& genotype, i64 exit, double threshold) const {
  const ExitModel& e = model_->exits.at(std::size_t(exit));
  Genotype result = genotype;
  if (threshold_gene(genotype, exit) && e.presence.searched()) {
    double nearest = 2;
    for (std::size_t i = 0; i < e.presence.values.size(); ++i) {
      const double distance = std::abs(e.presence.values[i] - threshold);
      if (!e.on(e.presence.values[i]) || distance >= nearest) continue;
      nearest = distance;
      result[std::size_t(e.presence.gene)] = i32(i);
    }
  }
  return canonical(result);
}

Genotype Space::sample(Rng& rng) const {
  Genotype genotype(genes_.size());
  do {
    for (std::size_t i = 0; i < genes_.size(); ++i)
      genotype[i] = i32(rng.below(u32(genes_[i].values.size())));
  } while (exits() > 0 && !any_exit_on(genotype));
  return canonical(genotype);
}

}  // namespace offramp::nas
