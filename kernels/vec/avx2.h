// Vec: 8 floats in one AVX2 register (with FMA). Include it in *_avx2.cpp only. Names: see avx512.h.
#pragma once
#include <immintrin.h>

#include "kernels/types.h"

namespace offramp::kernels {
namespace {

struct Vec {
  static constexpr int kWidth = 8;
  __m256 v;

  static Vec zero() { return {_mm256_setzero_ps()}; }
  static Vec broadcast(float s) { return {_mm256_set1_ps(s)}; }
  static Vec broadcast_pair(const float* p) {
    return {
        _mm256_castsi256_ps(_mm256_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec load_partial(const float* p, i64 n) { return {_mm256_maskload_ps(p, first(n))}; }
  void stream(float* p) const { _mm256_stream_ps(p, v); }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  void store_partial(float* p, i64 n) const { _mm256_maskstore_ps(p, first(n), v); }
  static __m256i first(i64 n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

[[maybe_unused]] inline Vec pinned(Vec a) {
  asm("" : "+x"(a.v));
  return a;
}
[[maybe_unused]] inline void stream_fence() { _mm_sfence(); }
[[maybe_unused]] inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
[[maybe_unused]] inline Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
[[maybe_unused]] inline Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
[[maybe_unused]] inline Vec round_even(Vec a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
[[maybe_unused]] inline Vec pow2(Vec a) {
  const __m256i n = _mm256_cvtps_epi32(a.v);
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23))};
}
[[maybe_unused]] inline Vec duplicate_even(Vec a) { return {_mm256_moveldup_ps(a.v)}; }
[[maybe_unused]] inline Vec sum_pairs(Vec a) {
  const __m256 sums = _mm256_add_ps(a.v, _mm256_movehdup_ps(a.v));
  return {_mm256_permutevar8x32_ps(sums, _mm256_set_epi32(6, 4, 2, 0, 6, 4, 2, 0))};
}
[[maybe_unused]] inline float sum(Vec a) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
[[maybe_unused]] inline float max_lane(Vec a) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

}  // namespace
}  // namespace offramp::kernels
