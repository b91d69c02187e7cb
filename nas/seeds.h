// One --seed gives named streams: what they serve decides, not the order of use.
#pragma once
#include <string_view>

#include "kernels/rng.h"

namespace offramp::nas {

// FNV-1a of the name, mixed with the seed.
constexpr u64 stream_seed(u64 seed, std::string_view name) {
  u64 hash = 0xcbf29ce484222325;
  for (char c : name) hash = (hash ^ u8(c)) * 0x100000001b3;
  return Rng(seed).derive(hash).next_u64();
}

}  // namespace offramp::nas
