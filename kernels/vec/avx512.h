// Vec: 16 floats in one AVX-512 register. Include it in *_avx512.cpp only.
//
// The three headers of this folder (portable, avx2, avx512) define the same names, so an algorithm is written
// once, in a body.inc on Vec, and included by one file per target. Everything sits in an unnamed namespace:
// an inline function with external linkage, compiled here with wide instructions, could be picked by the
// linker for old CPUs.
//   Vec::kWidth            lanes
//   zero() broadcast(s) load(p) load_partial(p, n)   n lanes from p, the others 0; 0 <= n <= kWidth, no
//   alignment v.store(p) v.store_partial(p, n)
//   v.stream(p)         a store past the caches; p aligned to the vector; stream_fence() after the last one
//   pinned(v)           v in a register: it is not read from memory again at each use
//   + - * /   fma(a, b, c) = a*b + c   min(a, b) max(a, b): a NaN in b is passed on   sqrt
//   select_less(a, b, x, y) = a < b ? x : y     sum(v) max_lane(v): over the lanes, in a fixed order
//   broadcast_pair(p)   p[0] p[1] p[0] p[1] ...     duplicate_even(v)   v[0] v[0] v[2] v[2] ...
//   sum_pairs(v)   v[0]+v[1], v[2]+v[3], ... in the lower half
//   round_even(v)  pow2(v) = 2^v for whole v in [-126, 127]
#pragma once
#include <immintrin.h>

#include "kernels/types.h"

namespace offramp::kernels {
namespace {

struct Vec {
  static constexpr int kWidth = 16;
  __m512 v;

  static Vec zero() { return {_mm512_setzero_ps()}; }
  static Vec broadcast(float s) { return {_mm512_set1_ps(s)}; }
  static Vec broadcast_pair(const float* p) {
    return {_mm512_castsi512_ps(
        _mm512_maskz_broadcastq_epi64(__mmask8(-1), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec load_partial(const float* p, i64 n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  void stream(float* p) const { _mm512_stream_ps(p, v); }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_partial(float* p, i64 n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  static __mmask16 first(i64 n) { return __mmask16((1u << n) - 1); }
};

[[maybe_unused]] inline Vec pinned(Vec a) {
  asm("" : "+v"(a.v));
  return a;
}
[[maybe_unused]] inline void stream_fence() { _mm_sfence(); }
[[maybe_unused]] inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
[[maybe_unused]] inline Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The maskz forms below (an all-ones mask is no mask) avoid g++ 12's false "uninitialized" warnings.
[[maybe_unused]] inline Vec min(Vec a, Vec b) { return {_mm512_maskz_min_ps(__mmask16(-1), a.v, b.v)}; }
[[maybe_unused]] inline Vec max(Vec a, Vec b) { return {_mm512_maskz_max_ps(__mmask16(-1), a.v, b.v)}; }
[[maybe_unused]] inline Vec sqrt(Vec a) { return {_mm512_maskz_sqrt_ps(__mmask16(-1), a.v)}; }
[[maybe_unused]] inline Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
[[maybe_unused]] inline Vec round_even(Vec a) {
  return {_mm512_maskz_roundscale_ps(__mmask16(-1), a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
[[maybe_unused]] inline Vec pow2(Vec a) {
  const __m512i n = _mm512_maskz_cvtps_epi32(__mmask16(-1), a.v);
  return {_mm512_castsi512_ps(
      _mm512_maskz_slli_epi32(__mmask16(-1), _mm512_add_epi32(n, _mm512_set1_epi32(127)), 23))};
}
[[maybe_unused]] inline Vec duplicate_even(Vec a) { return {_mm512_maskz_moveldup_ps(__mmask16(-1), a.v)}; }
[[maybe_unused]] inline Vec sum_pairs(Vec a) {
  const __m512 sums = _mm512_add_ps(a.v, _mm512_maskz_movehdup_ps(__mmask16(-1), a.v));
  const __m512i even = _mm512_set_epi32(14, 12, 10, 8, 6, 4, 2, 0, 14, 12, 10, 8, 6, 4, 2, 0);
  return {_mm512_maskz_permutexvar_ps(__mmask16(-1), even, sums)};
}
template <int I>
inline __m256 half(Vec a) {
  return _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(__mmask8(-1), _mm512_castps_pd(a.v), I));
}
[[maybe_unused]] inline float sum(Vec a) {
  const __m256 h = _mm256_add_ps(half<0>(a), half<1>(a));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
[[maybe_unused]] inline float max_lane(Vec a) {
  const __m256 h = _mm256_max_ps(half<0>(a), half<1>(a));
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

}  // namespace
}  // namespace offramp::kernels
