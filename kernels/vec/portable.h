// Vec: 4 floats through the compilers' vector extension, for any CPU. Names: see avx512.h. fma is a
// multiplication and an addition, each rounded: a fused one would be a library call where the CPU has none.
#pragma once
#include <math.h>
#include <string.h>

#include "kernels/types.h"

namespace offramp::kernels {
namespace {

struct Vec {
  typedef float Floats __attribute__((vector_size(16)));
  typedef i32 Ints __attribute__((vector_size(16)));
  static constexpr int kWidth = 4;
  Floats v;

  static Vec zero() { return {Floats{}}; }
  static Vec broadcast(float s) { return {Floats{s, s, s, s}}; }
  static Vec broadcast_pair(const float* p) { return {Floats{p[0], p[1], p[0], p[1]}}; }
  static Vec load(const float* p) {
    Vec r;
    memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  static Vec load_partial(const float* p, i64 n) {
    Vec r = zero();
    for (i64 i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  void stream(float* p) const { store(p); }
  void store(float* p) const { memcpy(p, &v, sizeof v); }
  void store_partial(float* p, i64 n) const {
    for (i64 i = 0; i < n; ++i) p[i] = v[i];
  }
  static Floats blend(Ints mask, Floats x, Floats y) { return Floats((Ints(x) & mask) | (Ints(y) & ~mask)); }
};

[[maybe_unused]] inline Vec pinned(Vec a) { return a; }
[[maybe_unused]] inline void stream_fence() {}
[[maybe_unused]] inline Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
[[maybe_unused]] inline Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
[[maybe_unused]] inline Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
[[maybe_unused]] inline Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
[[maybe_unused]] inline Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
[[maybe_unused]] inline Vec min(Vec a, Vec b) { return {Vec::blend(a.v < b.v, a.v, b.v)}; }
[[maybe_unused]] inline Vec max(Vec a, Vec b) { return {Vec::blend(a.v > b.v, a.v, b.v)}; }
[[maybe_unused]] inline Vec sqrt(Vec a) {
  return {Vec::Floats{sqrtf(a.v[0]), sqrtf(a.v[1]), sqrtf(a.v[2]), sqrtf(a.v[3])}};
}
[[maybe_unused]] inline Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {Vec::blend(a.v < b.v, x.v, y.v)};
}
[[maybe_unused]] inline Vec round_even(Vec a) {
  return {Vec::Floats{rintf(a.v[0]), rintf(a.v[1]), rintf(a.v[2]), rintf(a.v[3])}};
}
[[maybe_unused]] inline Vec pow2(Vec a) {
  return {Vec::Floats((__builtin_convertvector(a.v, Vec::Ints) + 127) << 23)};
}
[[maybe_unused]] inline Vec duplicate_even(Vec a) { return {Vec::Floats{a.v[0], a.v[0], a.v[2], a.v[2]}}; }
[[maybe_unused]] inline Vec sum_pairs(Vec a) {
  const float low = a.v[0] + a.v[1], high = a.v[2] + a.v[3];
  return {Vec::Floats{low, high, low, high}};
}
[[maybe_unused]] inline float sum(Vec a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
[[maybe_unused]] inline float max_lane(Vec a) {
  const float x = a.v[0] > a.v[2] ? a.v[0] : a.v[2], y = a.v[1] > a.v[3] ? a.v[1] : a.v[3];
  return x > y ? x : y;
}

}  // namespace
}  // namespace offramp::kernels
