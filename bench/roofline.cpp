#include "bench/roofline.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "bench/work.h"
#include "kernels/timing.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace offramp::bench {
namespace {

constexpr i64 kRounds = 20000;     // of multiply-adds in one timed call
constexpr int kAccumulators = 12;  // enough to hide the latency of two units

// Each instruction set: the multiply-adds of one call of fma(), reading an array (its sum), updating it in
// place.
struct Probe {
  Target target;
  i64 macs;
  float (*fma)();
  float (*sum)(const float*, i64);
  void (*halve)(float*, i64);
};

float fma_plain() {
  float acc[kAccumulators] = {};
  for (i64 r = 0; r < kRounds; ++r)
    for (float& a : acc) a = a * 0.999f + 0.5f;
  float sum = 0;
  for (float a : acc) sum += a;
  return sum;
}
float sum_plain(const float* x, i64 count) {
  float acc[16] = {};
  for (i64 i = 0; i + 16 <= count; i += 16)
    for (int l = 0; l < 16; ++l) acc[l] += x[i + l];
  float sum = 0;
  for (float a : acc) sum += a;
  return sum;
}
void halve_plain(float* x, i64 count) {
  for (i64 i = 0; i < count; ++i) x[i] *= 0.5f;
}

#if defined(__x86_64__)
// The target attribute keeps these instructions in these functions.
__attribute__((target("avx2,fma"))) float fma_avx2() {
  __m256 acc[kAccumulators];
  for (auto& a : acc) a = _mm256_setzero_ps();
  const __m256 m = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.5f);
  for (i64 r = 0; r < kRounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm256_fmadd_ps(acc[i], m, b);
  for (auto& a : acc) acc[0] = _mm256_add_ps(acc[0], a);
  return _mm256_cvtss_f32(acc[0]);
}
__attribute__((target("avx2,fma"))) float sum_avx2(const float* x, i64 count) {
  __m256 acc[8];
  for (auto& a : acc) a = _mm256_setzero_ps();
  for (i64 i = 0; i + 64 <= count; i += 64)
#pragma GCC unroll 8
    for (int l = 0; l < 8; ++l) acc[l] = _mm256_add_ps(acc[l], _mm256_loadu_ps(x + i + 8 * l));
  for (auto& a : acc) acc[0] = _mm256_add_ps(acc[0], a);
  return _mm256_cvtss_f32(acc[0]);
}
__attribute__((target("avx2"))) void halve_avx2(float* x, i64 count) {
  const __m256 half = _mm256_set1_ps(0.5f);
  for (i64 i = 0; i + 32 <= count; i += 32)
#pragma GCC unroll 4
    for (int l = 0; l < 4; ++l)
      _mm256_storeu_ps(x + i + 8 * l, _mm256_mul_ps(_mm256_loadu_ps(x + i + 8 * l), half));
}
__attribute__((target("avx512f"))) float fma_avx512() {
  __m512 acc[kAccumulators];
  for (auto& a : acc) a = _mm512_setzero_ps();
  const __m512 m = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.5f);
  for (i64 r = 0; r < kRounds; ++r)
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) acc[i] = _mm512_fmadd_ps(acc[i], m, b);
  for (auto& a : acc) acc[0] = _mm512_add_ps(acc[0], a);
  return _mm512_cvtss_f32(acc[0]);
}
__attribute__((target("avx512f"))) float sum_avx512(const float* x, i64 count) {
  __m512 acc[8];
  for (auto& a : acc) a = _mm512_setzero_ps();
  for (i64 i = 0; i + 128 <= count; i += 128)
#pragma GCC unroll 8
    for (int l = 0; l < 8; ++l) acc[l] = _mm512_add_ps(acc[l], _mm512_loadu_ps(x + i + 16 * l));
  for (auto& a : acc) acc[0] = _mm512_add_ps(acc[0], a);
  return _mm512_cvtss_f32(acc[0]);
}
__attribute__((target("avx512f"))) void halve_avx512(float* x, i64 count) {
  const __m512 half = _mm512_set1_ps(0.5f);
  for (i64 i = 0; i + 64 <= count; i += 64)
#pragma GCC unroll 4
    for (int l = 0; l < 4; ++l)
      _mm512_storeu_ps(x + i + 16 * l, _mm512_mul_ps(_mm512_loadu_ps(x + i + 16 * l), half));
}
#endif

constexpr Probe kProbes[] = {
    {Target::portable, kRounds* kAccumulators, fma_plain, sum_plain, halve_plain},
#if defined(__x86_64__)
    {Target::avx2, kRounds* kAccumulators * 8, fma_avx2, sum_avx2, halve_avx2},
    {Target::avx512, kRounds* kAccumulators * 16, fma_avx512, sum_avx512, halve_avx512},
#endif
};

volatile float sink;  // keeps the probes' results, and so their work

// The best of a few runs, amount a second.
template <class Body>
double rate(double amount, Body&& body) {
  body();
  double best = HUGE_VAL, spent = 0;
  for (int run = 0; run < 5 || (spent < 0.03 && run < 200); ++run) {
    const double start = seconds_spent();
    body();
    const double seconds = seconds_spent() - start;
    best = std::min(best, seconds);
    spent += seconds;
  }
  return amount / best;
}

Roofline::Level measure_level(i64 footprint) {
  const i64 floats = footprint / 4;
  Array<float> x(std::size_t(floats), 0.0f);  // stays 0: no slow tiny numbers
  Roofline::Level level{.footprint = footprint, .read_bytes_per_second = 0, .update_bytes_per_second = 0};
  const i64 repeats = std::max<i64>(1, (i64{1} << 20) / footprint);  // long enough for the clock
  const double bytes = double(footprint * repeats);
  for (const Probe& probe : kProbes) {
    if (!cpu_supports(probe.target)) continue;
    const double read = rate(bytes, [&] {
      for (i64 r = 0; r < repeats; ++r) sink = probe.sum(x.data(), floats);
    });
    const double update = rate(2 * bytes, [&] {
      for (i64 r = 0; r < repeats; ++r) probe.halve(x.data(), floats);
    });
    level.read_bytes_per_second = std::max(level.read_bytes_per_second, read);
    level.update_bytes_per_second = std::max(level.update_bytes_per_second, update);
  }
  return level;
}

}  // namespace

double Roofline::seconds(const Cost& cost, int threads) const {
  const double compute = double(cost.macs) / macs_per_second;
  const i64 touched = cost.bytes_read + cost.bytes_written;
  const Level* level = &levels.front();
  for (const Level& l : levels)
    if (l.footprint <= touched) level = &l;
  // Reads at the reading rate; a write costs what an update takes beyond reading.
  const double read = 1 / level->read_bytes_per_second;
  const double write = std::max(0.0, 2 / level->update_bytes_per_second - read);
  const double memory = double(cost.bytes_read) * read + double(cost.bytes_written) * write;
  return std::max(compute, memory) / threads;
}

std::string Roofline::text() const {
  char piece[120];
  std::snprintf(piece, sizeof piece,
                "peak %.1f GMAC/s a thread; read/update GB/s by KiB touched:", macs_per_second / 1e9);
  std::string text = piece;
  for (const Level& l : levels) {
    std::snprintf(piece, sizeof piece, " %lld: %.0f/%.0f", (long long)(l.footprint >> 10),
                  l.read_bytes_per_second / 1e9, l.update_bytes_per_second / 1e9);
    text += piece;
  }
  return text;
}

double seconds_spent(bool wall) {
  if (wall) return now_seconds();
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

Roofline measure_roofline() {
  Roofline roofline;
  for (const Probe& probe : kProbes)
    if (cpu_supports(probe.target))
      roofline.macs_per_second =
          std::max(roofline.macs_per_second, rate(double(probe.macs), [&] { sink = probe.fma(); }));
  for (i64 kib = 16; kib <= 131072; kib *= 2) roofline.levels.push_back(measure_level(kib << 10));
  return roofline;
}

}  // namespace offramp::bench
