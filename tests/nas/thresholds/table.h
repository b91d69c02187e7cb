// Random tables of cached confidences for the tests of tuning.
#pragma once
#include "kernels/rng.h"
#include "nas/thresholds/curve.h"

namespace offramp::nas::testing {

// Later exits are right more often, sure answers too. levels > 0: confidences are multiples of 1/levels, so
// that many are equal.
inline ExitTable random_table(u64 seed, i64 samples, i64 exits, u32 levels = 0) {
  Rng rng(seed, 77);
  ExitTable table{.samples = samples, .exits = exits};
  for (i64 s = 0; s < samples; ++s) {
    table.label.push_back(i32(rng.below(10)));
    const float difficulty = rng.uniform();
    for (i64 e = 0; e < exits; ++e) {
      const float skill = float(e + 1) / float(exits);
      const float sure = 0.5f * rng.uniform() + 0.5f * (1 - difficulty) * skill;
      table.confidence.push_back(levels ? float(i32(sure * float(levels))) / float(levels) : sure);
      const bool right = rng.uniform() < 0.2f + 0.5f * skill * (1 - difficulty) + 0.3f * sure;
      table.predicted.push_back(right ? table.label.back() : (table.label.back() + 1) % 10);
    }
  }
  return table;
}

enum class LooksBack { patience, cumulative };

// The same answers under a rule that looks back at the exits in use.
inline ExitTable looking_back(const ExitTable& own, LooksBack rule) {
  const auto among = [own, rule](const std::vector<bool>& in_use) {
    ExitTable table = own;
    for (i64 s = 0; s < own.samples; ++s) {
      float stay = 1, agreeing = 0;
      i32 before = -1;
      for (i64 e = 0; e < own.exits; ++e) {
        const std::size_t at = std::size_t(s * own.exits + e);
        if (e + 1 < own.exits && !in_use[std::size_t(e)]) {
          table.confidence[at] = 0;
          continue;
        }
        stay *= 1 - own.confidence[at];
        agreeing = own.predicted[at] == before ? agreeing + 1 : 1;
        before = own.predicted[at];
        table.confidence[at] = rule == LooksBack::patience ? agreeing : 1 - stay;
      }
    }
    return table;
  };
  ExitTable table = among(std::vector<bool>(std::size_t(own.exits - 1), true));
  table.among = among;
  return table;
}

inline ExitCosts random_costs(u64 seed, i64 exits) {
  Rng rng(seed, 78);
  ExitCosts costs;
  for (i64 e = 0; e < exits; ++e) {
    costs.body.push_back(100 + rng.below(1000));
    costs.head.push_back(10 + rng.below(200));
  }
  return costs;
}

}  // namespace offramp::nas::testing
