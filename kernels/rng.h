// Counter-based random numbers: a value is a pure function of (key, counter), the same on every target.
// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox-4x32-10).
#pragma once
#include <array>

#include "kernels/types.h"

namespace offramp {

constexpr std::array<u32, 4> philox(std::array<u32, 4> counter, std::array<u32, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const u64 a = u64{0xD2511F53} * counter[0], b = u64{0xCD9E8D57} * counter[2];
    counter = {u32(b >> 32) ^ counter[1] ^ key[0], u32(b), u32(a >> 32) ^ counter[3] ^ key[1], u32(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

// A stream of numbers identified by (seed, stream); copying copies the position.
class Rng {
 public:
  constexpr explicit Rng(u64 seed, u64 stream = 0) : seed_(seed), stream_(stream) {}

  constexpr u32 next_u32() {
    if (used_ == 4) {
      block_ = philox({u32(index_), u32(index_ >> 32), u32(stream_), u32(stream_ >> 32)},
                      {u32(seed_), u32(seed_ >> 32)});
      ++index_;
      used_ = 0;
    }
    return block_[used_++];
  }
  constexpr u64 next_u64() {
    const u64 low = next_u32();
    return low | (u64{next_u32()} << 32);
  }
  // Uniform in [0, bound), bound >= 1, without modulo bias (Lemire 2019), integers only.
  constexpr u32 below(u32 bound) {
    u64 product = u64{next_u32()} * bound;
    if (u32(product) < bound) {
      const u32 threshold = (0u - bound) % bound;
      while (u32(product) < threshold) product = u64{next_u32()} * bound;
    }
    return u32(product >> 32);
  }
  // Uniform in [0,1), multiples of 2^-24.
  constexpr float uniform() { return float(next_u32() >> 8) * 0x1p-24f; }
  constexpr float uniform(float low, float high) { return low + (high - low) * uniform(); }

  // An independent stream derived from this one's seed and up to three labels (epoch, sample, layer, ...).
  constexpr Rng derive(u64 a, u64 b = 0, u64 c = 0) const {
    const auto x = philox({u32(a), u32(a >> 32), u32(b), u32(b >> 32)}, {u32(seed_), u32(seed_ >> 32)});
    const auto y = philox({u32(c), u32(c >> 32), u32(stream_), u32(stream_ >> 32)}, {x[0], x[1]});
    return Rng(u64{y[0]} | (u64{y[1]} << 32), u64{y[2] ^ x[2]} | (u64{y[3] ^ x[3]} << 32));
  }

 private:
  u64 seed_, stream_, index_ = 0;
  std::array<u32, 4> block_{};
  int used_ = 4;
};

}  // namespace offramp
