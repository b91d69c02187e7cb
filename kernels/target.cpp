#include "kernels/target.h"

#include <array>
#include <cstdlib>
#include <string>

#include "kernels/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace offramp {
namespace {

constexpr std::array kBuilt = {Target::portable,
#if defined(__x86_64__)
                               Target::avx2, Target::avx512
#endif
};

#if defined(__x86_64__)
struct CpuFeatures {
  bool avx2 = false, avx512 = false;
};

u64 enabled_register_state() {
  u32 low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (u64{high} << 32) | low;
}

CpuFeatures detect() {
  CpuFeatures found;
  u32 a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return found;
  const bool osxsave = c & bit_OSXSAVE, fma = c & bit_FMA, avx = c & bit_AVX;
  if (!osxsave || !fma || !avx) return found;
  const u64 state = enabled_register_state();
  constexpr u64 kYmm = 0x6, kZmm = 0xe6;  // SSE+AVX; with opmask and both ZMM halves
  if ((state & kYmm) != kYmm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  found.avx2 = b & bit_AVX2;
  constexpr u32 kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  found.avx512 = found.avx2 && (b & kAvx512) == kAvx512 && (state & kZmm) == kZmm;
  return found;
}
#endif

}  // namespace

std::string_view target_name(Target target) {
  switch (target) {
    case Target::portable: return "portable";
    case Target::avx2: return "avx2";
    case Target::avx512: return "avx512";
  }
  return "unknown";
}

Target parse_target(std::string_view name) {
  for (Target t : {Target::portable, Target::avx2, Target::avx512})
    if (name == target_name(t)) return t;
  throw usage_error("unknown target '" + std::string(name) + "': expected portable, avx2 or avx512");
}

bool cpu_supports(Target target) {
  if (target == Target::portable) return true;
#if defined(__x86_64__)
  static const CpuFeatures features = detect();
  return target == Target::avx2 ? features.avx2 : features.avx512;
#else
  return false;
#endif
}

std::span<const Target> built_targets() { return kBuilt; }

Target default_target() {
  if (const char* forced = std::getenv("OFFRAMP_TARGET"); forced && *forced) return parse_target(forced);
  Target best = Target::portable;
  for (Target t : kBuilt)
    if (cpu_supports(t)) best = t;
  return best;
}

}  // namespace offramp
