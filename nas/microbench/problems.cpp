#include "nas/microbench/problems.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "nas/microbench/works.h"
#include "nas/space/space.h"
#include "nn/plan/dims_fields.h"
#include "nn/record.h"
#include "tensor/file.h"

namespace offramp::nas::microbench {
namespace {

constexpr std::string_view kUpdate = "update count=";

void add(std::vector<Problem>& to, const Problem& problem) {
  if (std::find(to.begin(), to.end(), problem) == to.end()) to.push_back(problem);
}

// Problems of one kind are done by the same rows, at different sizes.
std::string kind_of(const Problem& problem) {
  if (problem.update) return "update";
  nn::StepDims dims = problem.step;
  std::string kind(nn::op_name(dims));
  nn::visit_fields(dims, [&](std::string_view name, auto& value) {
    if (name == "kernel" || name == "kind" || name == "broadcast" || name == "act")
      kind += " " + std::to_string(i64(value));
    if (name == "groups" && i64(value) > 1) kind += " grouped";
  });
  return kind;
}

i64 size_of(const Problem& problem) {
  if (problem.update) return problem.update;
  const Cost cost = nn::cost(nn::Step{.dims = problem.step});
  return cost.macs + cost.other_ops;
}

void add_lines(const std::string& name, std::string_view text, std::vector<Problem>& to) {
  i64 number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    line = line.substr(0, line.find('#'));
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      add(to, parse_problem(line));
    } catch (const Error& e) {
      throw input_error(name + ":" + std::to_string(number) + ": " + e.what());
    }
  }
}

}  // namespace

std::string Problem::text() const {
  return update ? std::string(kUpdate) + std::to_string(update) : nn::dims_text(step);
}

Problem parse_problem(std::string_view line) {
  if (line.substr(0, kUpdate.size()) == kUpdate) {
    // The same rules as for a count of activations.
    const nn::StepDims dims =
        nn::parse_dims("act count=" + std::string(line.substr(kUpdate.size())) + " act=0");
    return {.step = {}, .update = std::get<kernels::ActDims>(dims).count};
  }
  return {.step = nn::parse_dims(line)};
}

std::vector<Problem> read_problems(const std::string& path) {
  std::vector<Problem> problems;
  if (!std::filesystem::is_directory(path)) {
    add_lines(path, read_file(path, i64{1} << 24), problems);
    return problems;
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  if (files.empty()) throw input_error(path + ": holds no .txt file with problems");
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) add_lines(file, read_file(file, i64{1} << 24), problems);
  return problems;
}

std::vector<Problem> builtin_problems() {
  std::vector<Problem> problems;
  for (const BuiltinShapes& file : builtin_shapes()) add_lines(std::string(file.name), file.text, problems);
  return problems;
}

void add_problems(const nn::Plan& plan, std::vector<Problem>& to) {
  for (const nn::PlanStage& stage : plan.stages)
    for (const auto* steps : {&stage.body, &stage.head})
      for (const nn::Step& step : *steps) add(to, {.step = step.dims});
}

void add_problems(const std::string& space_name, const std::string& genotype, std::vector<Problem>& to) {
  const Space space = Space::load(space_name);
  const Genotype genes = genotype == "min"   ? space.min_genotype()
                         : genotype == "max" ? space.max_genotype()
                                             : space.canonical(space.from_text(genotype));
  nn::MetaParameters weightless;
  nn::EarlyExitNetwork network(space.decode(genes), weightless);
  const nn::Plan trained = nn::record(network), deployed = nn::deployable(network);
  add_problems(deployed, to);
  for (const nn::PlanStage& stage : trained.stages)
    for (const auto* steps : {&stage.body, &stage.head})
      for (const nn::Step& step : *steps)
        if (std::holds_alternative<kernels::NormDims>(step.dims) ||
            std::holds_alternative<kernels::ActDims>(step.dims))
          add(to, {.step = step.dims});
  i64 parameters = 0;
  for (const nn::NamedParameter& p : network.named_parameters()) parameters += p.variable.value().count();
  add(to, {.step = {}, .update = parameters});
  add(to, {.step = kernels::SoftmaxDims{.rows = 1, .classes = deployed.classes}});
}

std::vector<Problem> spread(const std::vector<Problem>& problems, i64 count) {
  if (count <= 0) return problems;
  std::map<std::string, std::vector<Problem>> kinds;
  for (const Problem& p : problems) kinds[kind_of(p)].push_back(p);
  std::vector<Problem> chosen;
  for (auto& [kind, list] : kinds) {
    std::stable_sort(list.begin(), list.end(),
                     [](const Problem& a, const Problem& b) { return size_of(a) > size_of(b); });
    const i64 all = i64(list.size()), take = std::min(count, all);
    for (i64 i = 0; i < take; ++i) chosen.push_back(list[std::size_t(i * all / take)]);
  }
  return chosen;
}

std::vector<Work> inference_works(const Problem& problem, i64 batch) {
  if (problem.update) return {};
  const nn::StepDims step = nn::at_batch(problem.step, batch);
  return std::visit([&](const auto& d) { return inference_works(nn::dims_text(step), d); }, step);
}

std::vector<Work> training_works(const Problem& problem, i64 batch) {
  if (problem.update) return update_works(problem.text(), problem.update);
  const nn::StepDims step = nn::at_batch(problem.step, batch);
  return std::visit([&](const auto& d) { return training_works(nn::dims_text(step), d); }, step);
}

}  // namespace offramp::nas::microbench
