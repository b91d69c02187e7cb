#include "nas/latency/measure.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "nas/latency/predict.h"
#include "nas/seeds.h"

namespace offramp::nas {
namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + i64(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// What is kept of one network while its session lasts.
struct Passes {
  std::vector<double> whole, visit;        // every pass; median of every visit
  std::vector<std::vector<double>> steps;  // every pass call by call
};

std::vector<double> steady_steps(std::vector<std::vector<double>> passes) {
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t p = 0; p < passes.size(); ++p) {
    double sum = 0;
    for (double us : passes[p]) sum += us;
    order.emplace_back(sum, p);
  }
  std::sort(order.begin(), order.end());
  const std::size_t n = order.size(), first = n / 4, last = n - n / 4;  // never empty
  std::vector<double> mean(passes[0].size(), 0);
  for (std::size_t i = first; i < last; ++i)
    for (std::size_t s = 0; s < mean.size(); ++s) mean[s] += passes[order[i].second][s];
  for (double& us : mean) us /= double(last - first);
  return mean;
}

void require_measurable(const LatencyTable& table) {
  if (!measurable_here(table))
    throw input_error("this latency table belongs to " + table.machine().cpu + ", target " +
                      std::string(target_name(table.machine().target)) +
                      " with other kernels or settings; it cannot be added to here");
}

}  // namespace

SessionTimes time_session(Exec& exec, std::span<const std::unique_ptr<TimedNetwork>> networks,
                          TimedNetwork& reference, const VisitOptions& options, bool steps,
                          const Watch& watch) {
  constexpr std::size_t kBetweenReferences = 8;
  std::vector<Passes> passes(networks.size());
  std::vector<double> reference_us;
  for (i64 visit = 0; visit < options.visits; ++visit)
    for (std::size_t i = 0; i < networks.size(); ++i) {
      watch.check();
      if (i % kBetweenReferences == 0) {
        for (i64 p = 0; p < options.warm_up; ++p) reference.time_whole(exec);
        for (i64 p = 0; p < options.passes; ++p) reference_us.push_back(reference.time_whole(exec));
      }
      TimedNetwork& network = *networks[i];
      std::vector<double> us(std::size_t(network.steps())), whole;
      for (i64 p = 0; p < options.warm_up; ++p) network.time_whole(exec);
      for (i64 p = 0; p < options.passes; ++p) {
        whole.push_back(network.time_whole(exec));
        if (!steps) continue;
        network.time_steps(exec, us);
        passes[i].steps.push_back(us);
      }
      passes[i].whole.insert(passes[i].whole.end(), whole.begin(), whole.end());
      passes[i].visit.push_back(median(whole));
    }
  SessionTimes session;
  for (Passes& p : passes)
    session.networks.push_back({.whole_us = median(p.whole),
                                .whole = std::move(p.visit),
                                .step_us = steps ? steady_steps(std::move(p.steps)) : std::vector<double>()});
  session.reference_us = median(reference_us);
  return session;
}

Genotype reference_genotype(const Space& space) {
  Rng rng(stream_seed(1, "latency reference"));
  return space.sample(rng);
}

void measure_networks(Exec& exec, LatencyTable& table, const Space& space, const Task& task,
                      std::span<const Genotype> genotypes, const MeasureOptions& options,
                      const Watch& watch) {
  require_measurable(table);
  TimedNetwork reference(plan_of(space, reference_genotype(space), task, true), exec.target());
  for (std::size_t next = 0; next < genotypes.size();) {
    const std::size_t first = next;
    std::vector<std::unique_ptr<TimedNetwork>> group;
    for (i64 bytes = 0;
         next < genotypes.size() && i64(group.size()) < options.group && bytes < options.group_bytes;
         ++next) {
      watch.check();
      group.push_back(
          std::make_unique<TimedNetwork>(plan_of(space, genotypes[next], task, true), exec.target()));
      bytes += group.back()->bytes();
    }
    const SessionTimes session = time_session(exec, group, reference, options.visit, true, watch);
    table.add_reference(space.name(), session.reference_us);
    const double drift = table.reference_us(space.name()) / session.reference_us;
    for (std::size_t i = 0; i < group.size(); ++i) {
      const NetworkTimes& times = session.networks[i];
      const std::vector<LatencyTable::Key> keys = latency_keys(table.machine(), group[i]->plan());
      TimedRun run{space.name(), task, genotypes[first + i], times.whole_us * drift, 0, i64(keys.size())};
      for (std::size_t s = 0; s < keys.size(); ++s) {
        const double us = times.step_us[s] * drift;
        table.add(keys[s].first, keys[s].second, us);
        run.steps_us += us;
      }
      table.add_run(std::move(run));
    }
    if (options.after_group) options.after_group();
    watch.progress({.phase = "measure " + space.name(),
                    .done = i64(next),
                    .total = i64(genotypes.size()),
                    .unit = "network"});
  }
}

void measure_plan(Exec& exec, LatencyTable& table, const Space& space, const Task& task,
                  const Genotype& genotype, std::shared_ptr<const nn::Plan> plan, const Watch& watch) {
  require_measurable(table);
  const std::vector<LatencyTable::Key> keys = latency_keys(table.machine(), *plan);
  std::set<LatencyTable::Key> missing;
  for (const LatencyTable::Key& key : keys)
    if (!table.find(key.first, key.second)) missing.insert(key);
  TimedNetwork reference(plan_of(space, reference_genotype(space), task, true), exec.target());
  std::vector<std::unique_ptr<TimedNetwork>> alone;
  alone.push_back(std::make_unique<TimedNetwork>(std::move(plan), exec.target()));
  const SessionTimes session = time_session(exec, alone, reference, {}, true, watch);
  const NetworkTimes& times = session.networks[0];
  if (table.reference_us(space.name()) <= 0) table.add_reference(space.name(), session.reference_us);
  const double drift = table.reference_us(space.name()) / session.reference_us;
  TimedRun run{space.name(), task, genotype, times.whole_us * drift, 0, i64(keys.size())};
  for (std::size_t s = 0; s < keys.size(); ++s) {
    const double us = times.step_us[s] * drift;
    run.steps_us += us;
    if (missing.count(keys[s])) table.add(keys[s].first, keys[s].second, us);
  }
  // What was predicted before stays as it is, so the cost per call does not follow every candidate.
  if (table.runs().empty()) table.add_run(std::move(run));
}

}  // namespace offramp::nas
