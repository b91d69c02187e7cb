#include "nas/search/limits.h"

#include <algorithm>
#include <cstdio>

#include "nas/latency/predict.h"
#include "nn/plan/runner.h"

namespace offramp::nas {
namespace {

// f(value, limit, name, decimals) for each limit that is set.
template <class F>
void each_limit(const NetworkSize& s, const SearchConfig::Limits& l, F&& f) {
  if (l.latency_us > 0) f(s.full_us, l.latency_us, "us", 1);
  if (l.avg_latency_us > 0) f(s.avg_us, l.avg_latency_us, "us on average", 1);
  if (l.macs > 0) f(double(s.full_macs), double(l.macs), "MACs", 0);
  if (l.avg_macs > 0) f(s.avg_macs, double(l.avg_macs), "MACs on average", 0);
  if (l.params > 0) f(double(s.params), double(l.params), "parameters", 0);
  if (l.memory > 0) f(double(s.memory), double(l.memory), "bytes of memory", 0);
}

}  // namespace

NetworkSize size_of(const std::shared_ptr<const nn::Plan>& plan, Target target,
                    const SearchConfig::Limits& limits, const LatencyTable* latency) {
  NetworkSize size{.full_macs = nn::exit_costs(*plan).back().leave_macs, .params = plan->params()};
  if (limits.memory > 0) {
    const nn::PlanRunner runner(*plan, target, 1);
    size.memory = runner.weight_bytes() + runner.arena_bytes();
  }
  if (latency) size.full_us = full_us(predict(*latency, *plan));
  return size;
}

double violation_of(const NetworkSize& size, const SearchConfig::Limits& limits) {
  double sum = 0;
  each_limit(size, limits,
             [&](double value, double limit, const char*, int) { sum += std::max(value / limit - 1, 0.0); });
  return sum;
}

std::string against_limits(const NetworkSize& size, const SearchConfig::Limits& limits) {
  std::string text;
  each_limit(size, limits, [&](double value, double limit, const char* unit, int decimals) {
    char part[120];
    std::snprintf(part, sizeof part, "%s%.*f of at most %.*f %s", text.empty() ? "" : ", ", decimals, value,
                  decimals, limit, unit);
    text += part;
  });
  return text;
}

}  // namespace offramp::nas
