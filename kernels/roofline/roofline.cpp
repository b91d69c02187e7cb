#include "kernels/roofline/roofline.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include "kernels/roofline/probe_rows.h"
#include "kernels/timing.h"

namespace offramp::kernels {
namespace {

constexpr i64 kRounds = 20000;         // of multiply-adds in one timed call
constexpr i64 kFirst = i64{16} << 10;  // smallest and largest footprint, bytes
constexpr i64 kLast = i64{128} << 20;
volatile float sink;  // keeps the probes' results, and so their work

const Probe& probe_of(Target target) {
  switch (target) {
#if defined(__x86_64__)
    case Target::avx2:
      return probe_avx2;
    case Target::avx512:
      return probe_avx512;
#endif
    default:
      return probe_portable;
  }
}

Target widest_target() {
  for (Target t : {Target::avx512, Target::avx2})
    if (cpu_supports(t)) return t;
  return Target::portable;
}

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

struct Free {
  void operator()(float* p) const { std::free(p); }
};
// Zeros: probes that halve never meet slow tiny numbers.
std::unique_ptr<float, Free> zeros(i64 bytes) {
  std::unique_ptr<float, Free> p(static_cast<float*>(std::aligned_alloc(64, size_t(bytes))));
  if (!p) throw std::bad_alloc();
  std::fill_n(p.get(), bytes / 4, 0.0f);
  return p;
}

}  // namespace

const Roofline::Level& Roofline::level(i64 footprint) const {
  const Level* found = &levels.front();
  for (const Level& l : levels)
    if (l.footprint <= footprint) found = &l;
  return *found;
}

double Roofline::transfer_seconds(i64 read, i64 written, i64 footprint) const {
  const Level& l = level(footprint);
  const double per_read = 1 / l.read_bytes_per_second;
  const double per_write = std::max(0.0, 2 / l.update_bytes_per_second - per_read);
  const double cached = double(read) * per_read + double(written) * per_write;
  // Out of the caches, streaming stores may beat updating.
  if (footprint < levels.back().footprint / 2) return cached;
  return std::min(cached, double(read + written) / stream_bytes_per_second);
}

double Roofline::seconds(const Call& call, int threads) const {
  const Cost& c = call.cost;
  const i64 all = c.bytes_read + c.bytes_written, others = c.bytes_read - call.weight_bytes;
  const double compute = double(c.macs) / macs_per_second;
  if (call.weight_footprint == 0)  // repeated on the same operands
    return std::max(compute, transfer_seconds(c.bytes_read, c.bytes_written, all)) / threads;
  const double weights = transfer_seconds(call.weight_bytes, 0, std::max(call.weight_footprint, all));
  const double activations = transfer_seconds(others, c.bytes_written, all - call.weight_bytes);
  return std::max({compute, weights, activations}) / threads;
}

std::string Roofline::text() const {
  char piece[160];
  std::snprintf(
      piece, sizeof piece,
      "peak %.1f GMAC/s a thread (%s); streaming y = f(x) %.1f GB/s; read/update GB/s by KiB touched:",
      macs_per_second / 1e9, std::string(target_name(target)).c_str(), stream_bytes_per_second / 1e9);
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
  Roofline r{.target = widest_target(), .macs_per_second = 0, .stream_bytes_per_second = 0, .levels = {}};
  const Probe& probe = probe_of(r.target);
  r.macs_per_second = rate(double(kRounds * probe.macs_per_round), [&] { sink = probe.fma(kRounds); });
  const auto x = zeros(kLast);
  for (i64 footprint = kFirst; footprint <= kLast; footprint *= 2) {
    const i64 floats = footprint / 4, repeats = std::max<i64>(1, (i64{1} << 20) / footprint);
    const double bytes = double(footprint * repeats);
    r.levels.push_back({.footprint = footprint,
                        .read_bytes_per_second = rate(bytes,
                                                      [&] {
                                                        for (i64 i = 0; i < repeats; ++i)
                                                          sink = probe.read(x.get(), floats);
                                                      }),
                        .update_bytes_per_second = rate(2 * bytes, [&] {
                          for (i64 i = 0; i < repeats; ++i) probe.update(x.get(), floats);
                        })});
  }
  const i64 half = kLast / 8;  // floats
  r.stream_bytes_per_second = rate(double(kLast), [&] { probe.stream(x.get(), x.get() + half, half); });
  // More bytes are never faster than fewer: what says so is noise.
  for (std::size_t i = r.levels.size() - 1; i-- > 0;) {
    Roofline::Level &small = r.levels[i], &large = r.levels[i + 1];
    small.read_bytes_per_second = std::max(small.read_bytes_per_second, large.read_bytes_per_second);
    small.update_bytes_per_second = std::max(small.update_bytes_per_second, large.update_bytes_per_second);
  }
  return r;
}

}  // namespace offramp::kernels
