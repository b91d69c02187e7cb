// An independent walk over an Architecture: MACs, parameter shapes and extents, written from the definitions
// in nn/architecture.h and not from the code under test.
#pragma once
#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>

#include "nn/architecture.h"

namespace offramp::testing {

struct Walk {
  struct Stage {
    std::string name;
    i64 body_macs = 0, head_macs = 0;
    i64 side = 0;  // of the map behind the body
    bool exit = false;
  };
  std::vector<Stage> stages;
  std::map<std::string, std::array<i64, 4>> weights;  // [out, k, k, in / groups]
  std::map<std::string, i64> norms;                   // channels
  i64 smallest_side = 1 << 20, widest = 0;
  i64 logits = 0;  // of the last head

  i64 prefix_macs(std::size_t stage) const {
    i64 macs = 0;
    for (std::size_t s = 0; s <= stage; ++s) macs += stages[s].body_macs;
    return macs;
  }
};

namespace detail {

struct Extent {
  i64 h, w, c;
};

inline i64 conv(Walk& walk, Extent& e, const std::string& name, i64 c_out, i64 k, i64 stride, i64 pad,
                i64 groups) {
  if (e.c % groups || c_out % groups) throw std::logic_error(name + ": groups");
  if (!walk.weights.emplace(name + ".weight", std::array<i64, 4>{c_out, k, k, e.c / groups}).second)
    throw std::logic_error(name + ": name used twice");
  const i64 oh = (e.h + 2 * pad - k) / stride + 1, ow = (e.w + 2 * pad - k) / stride + 1;
  const i64 macs = oh * ow * c_out * k * k * (e.c / groups);
  e = {oh, ow, c_out};
  return macs;
}

inline i64 layer_macs(Walk& walk, Extent& e, const nn::LayerSpec& l) {
  using Kind = nn::LayerSpec::Kind;
  switch (l.kind) {
    case Kind::conv: {
      const i64 macs = conv(walk, e, l.name, l.c_out, l.kernel, l.stride, l.pad, l.groups);
      if (l.norm) walk.norms[l.name] = l.c_out;
      return macs;
    }
    case Kind::mbconv: {
      i64 macs = 0;
      if (l.mid != e.c) macs += conv(walk, e, l.name + ".expand", l.mid, 1, 1, 0, 1);
      macs += conv(walk, e, l.name + ".depthwise", l.mid, l.kernel, l.stride, l.pad, l.mid);
      if (l.se) {
        Extent pooled{1, 1, l.mid};
        macs += conv(walk, pooled, l.name + ".se.reduce", l.se, 1, 1, 0, 1);
        macs += conv(walk, pooled, l.name + ".se.expand", l.mid, 1, 1, 0, 1);
      }
      return macs + conv(walk, e, l.name + ".project", l.c_out, 1, 1, 0, 1);
    }
    case Kind::max_pool:
    case Kind::avg_pool:
      e.h = (e.h + 2 * l.pad - l.kernel) / l.stride + 1;
      e.w = (e.w + 2 * l.pad - l.kernel) / l.stride + 1;
      return 0;
    case Kind::activation:
      return 0;
    case Kind::global_avg_pool:
      e.h = e.w = 1;
      return 0;
    case Kind::resize:
      e.h = l.out_h;
      e.w = l.out_w;
      return 0;
    case Kind::linear: {
      const i64 in = e.h * e.w * e.c;
      if (!walk.weights.emplace(l.name + ".weight", std::array<i64, 4>{l.c_out, 1, 1, in}).second)
        throw std::logic_error(l.name + ": name used twice");
      e = {1, 1, l.c_out};
      return in * l.c_out;
    }
  }
  throw std::logic_error("kind");
}

inline i64 layers_macs(Walk& walk, Extent& e, const std::vector<nn::LayerSpec>& layers) {
  i64 macs = 0;
  for (const nn::LayerSpec& l : layers) {
    macs += layer_macs(walk, e, l);
    walk.smallest_side = std::min({walk.smallest_side, e.h, e.w});
    walk.widest = std::max(walk.widest, e.c);
  }
  return macs;
}

}  // namespace detail

inline Walk walk(const nn::Architecture& net) {
  Walk result;
  detail::Extent trunk{net.height, net.width, net.channels};
  for (const nn::StageSpec& stage : net.stages) {
    Walk::Stage out{.name = stage.name, .exit = !stage.head.empty()};
    out.body_macs = detail::layers_macs(result, trunk, stage.body);
    out.side = trunk.h;
    detail::Extent branch = trunk;
    out.head_macs = detail::layers_macs(result, branch, stage.head);
    if (out.exit) result.logits = branch.h * branch.w * branch.c;
    result.stages.push_back(out);
  }
  return result;
}

}  // namespace offramp::testing
