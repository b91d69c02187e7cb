// What a target's instructions are asked to do when its limits are measured. Declarations only.
#pragma once
#include "kernels/types.h"

namespace offramp::kernels {

// Counts are multiples of kProbeStep floats, pointers aligned to 64 bytes.
constexpr i64 kProbeStep = 128;

struct Probe {
  i64 macs_per_round;
  float (*fma)(i64 rounds);                             // multiply-adds on registers
  float (*read)(const float* x, i64 count);             // their sum
  void (*update)(float* x, i64 count);                  // x = f(x), in place
  void (*stream)(const float* x, float* y, i64 count);  // y = f(x), stored past the caches
};

extern const Probe probe_portable, probe_avx2, probe_avx512;

}  // namespace offramp::kernels
