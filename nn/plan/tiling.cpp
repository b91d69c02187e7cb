#include "nn/plan/tiling.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace offramp::nn {
namespace {

// Floats of a group's images alive at once: below the first they stay in the cache, beyond the second (2 MB)
// every one passes out and in, between them a share.
constexpr i64 kFits = i64{1} << 17, kSpills = i64{1} << 19;
// A group waits for its weights, where activations come in step with the arithmetic: they count double.
constexpr double kWeight = 2;
// More images would save little of the weights' traffic and leave threads without work.
constexpr i64 kGroups[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32};
// Longest segment looked at: three blocks with squeeze-excite.
constexpr size_t kMostSteps = 24;

// Positions of the reads and writes of every buffer within one list of steps.
struct Use {
  i64 write = -1, last_read = -1;  // -1: not here
};

class Cutter {
 public:
  Cutter(const Plan& plan, const std::vector<Step>& steps, int result)
      : plan_(plan), steps_(steps), uses_(plan.buffers.size()) {
    for (size_t i = 0; i < steps.size(); ++i) {
      for (int read : {steps[i].x, steps[i].z})
        if (read >= 0) uses_[size_t(read)].last_read = i64(i);
      uses_[size_t(steps[i].y)].write = i64(i);
    }
    if (result >= 0) uses_[size_t(result)].last_read = i64(steps.size());
  }

  std::vector<Segment> cut() const {
    const size_t count = steps_.size();
    struct Best {
      double bytes = std::numeric_limits<double>::infinity();
      Segment last{};
    };
    std::vector<Best> best(count + 1);
    best[0].bytes = 0;
    for (size_t first = 0; first < count; ++first)
      for (size_t end = first + 1; end <= std::min(count, first + kMostSteps); ++end) {
        const auto [group, bytes] = judge(first, end);
        if (best[first].bytes + bytes < best[end].bytes)
          best[end] = {best[first].bytes + bytes, {first, end, group}};
      }
    std::vector<Segment> segments;
    for (size_t end = count; end > 0; end = segments.back().first) segments.push_back(best[end].last);
    std::reverse(segments.begin(), segments.end());
    return segments;
  }

 private:
  struct Judged {
    i64 group;
    double bytes;  // beyond the cache, per image
  };

  Judged judge(size_t first, size_t end) const {
    // Floats per image: what crosses the borders (a write brings the line in first), and the most alive at
    // once.
    i64 crossing = 0, inside = 0, alive = 0, most = 0, weights = 0;
    std::vector<std::pair<i64, i64>> leaving;  // position after which so many floats are no longer needed
    const auto enter = [&](int buffer, i64 until) {
      alive += plan_.buffers[size_t(buffer)];
      leaving.push_back({until, plan_.buffers[size_t(buffer)]});
    };
    std::vector<int> entered;
    for (size_t i = first; i < end; ++i) {
      const Step& s = steps_[i];
      for (int read : {s.x, s.z}) {
        if (read < 0 || std::find(entered.begin(), entered.end(), read) != entered.end()) continue;
        if (const Use& use = uses_[size_t(read)]; use.write < i64(first)) {
          crossing += plan_.buffers[size_t(read)];
          entered.push_back(read);
          enter(read, std::min(use.last_read, i64(end)));
        }
      }
      const Use& written = uses_[size_t(s.y)];
      if (written.last_read >= i64(end))
        crossing += 2 * plan_.buffers[size_t(s.y)];
      else
        inside += 3 * plan_.buffers[size_t(s.y)];
      enter(s.y, std::max(written.last_read, i64(i)));
      most = std::max(most, alive);
      for (auto& [until, floats] : leaving)
        if (until == i64(i)) alive -= std::exchange(floats, 0);
      for (int w : {s.w, s.bias})
        if (w >= 0) weights += plan_.weights[size_t(w)].value.count();
    }
    Judged least{1, std::numeric_limits<double>::infinity()};
    for (i64 group : kGroups) {
      const double spilled = std::clamp(double(most * group - kFits) / double(kSpills - kFits), 0.0, 1.0);
      const double bytes =
          4 * (double(crossing) + kWeight * double(weights) / double(group) + spilled * double(inside));
      if (bytes < least.bytes) least = {group, bytes};
    }
    return least;
  }

  const Plan& plan_;
  const std::vector<Step>& steps_;
  std::vector<Use> uses_;
};

}  // namespace

Tiling tile(const Plan& plan) {
  Tiling tiling{.bodies = {}, .heads = {}, .inside = std::vector<bool>(plan.buffers.size(), true)};
  tiling.inside[0] = false;
  std::vector<int> home(plan.buffers.size(), -1);  // number of the segment that writes a buffer
  int segment = 0;
  const auto add = [&](const std::vector<Step>& steps, int result) {
    std::vector<Segment> segments = Cutter(plan, steps, result).cut();
    for (const Segment& s : segments) {
      for (size_t i = s.first; i < s.end; ++i) {
        for (int read : {steps[i].x, steps[i].z})
          if (read >= 0 && home[size_t(read)] != segment) tiling.inside[size_t(read)] = false;
        home[size_t(steps[i].y)] = segment;
      }
      ++segment;
    }
    if (result >= 0) tiling.inside[size_t(result)] = false;
    return segments;
  };
  for (const PlanStage& stage : plan.stages) {
    tiling.bodies.push_back(add(stage.body, stage.features));
    tiling.heads.push_back(add(stage.head, stage.logits));
  }
  return tiling;
}

}  // namespace offramp::nn
