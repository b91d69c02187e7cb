// Batch tiling: which consecutive steps run on one group of images after another, so that what they hand each
// other stays in a core's own cache instead of passing through memory once per layer.
#pragma once
#include <vector>

#include "nn/plan/plan.h"

namespace offramp::nn {

// Steps [first, end) of a body or head, run one after the other on at most `group` images, then on the next.
struct Segment {
  size_t first, end;
  i64 group;
};

struct Tiling {
  std::vector<std::vector<Segment>> bodies, heads;  // per stage; together they cover every step
  std::vector<bool>
      inside;  // per buffer: written and read within one segment, so that a group's worth will do
};

// Depends on the plan alone, never on batch, threads or machine. Among all cuts the one that moves the fewest
// bytes per image between a core's cache and what lies beyond: buffers that cross a cut, and the weights
// once per group.
Tiling tile(const Plan& plan);

// n images in groups of at most `group`, as even as they can be: how many, and where the i-th begins.
constexpr i64 group_count(i64 n, i64 group) { return (n + group - 1) / group; }
constexpr i64 group_begin(i64 n, i64 groups, i64 i) {
  return n / groups * i + (i < n % groups ? i : n % groups);
}

}  // namespace offramp::nn
