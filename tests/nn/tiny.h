// A small network with every kind of layer and two exits, for tests.
#pragma once
#include <cstring>
#include <vector>

#include "nn/architecture.h"
#include "tensor/tensor.h"
#include "tests/support/fill.h"

namespace offramp::testing {

inline nn::Architecture tiny_architecture() {
  using nn::LayerSpec;
  using Kind = nn::LayerSpec::Kind;
  nn::Architecture a{.height = 12, .width = 10, .channels = 3, .classes = 5};
  a.stages.push_back({.name = "stage1",
                      .body = {{.kind = Kind::conv,
                                .name = "stem.conv",
                                .c_out = 8,
                                .kernel = 3,
                                .stride = 2,
                                .pad = 1,
                                .norm = true,
                                .act = Act::hard_swish},
                               {.kind = Kind::mbconv,
                                .name = "stage1.block1",
                                .c_out = 8,
                                .kernel = 5,
                                .pad = 2,
                                .act = Act::relu,
                                .mid = 8}},
                      .head = {{.kind = Kind::resize,
                                .name = "exit1.resize",
                                .out_h = 8,
                                .out_w = 8,
                                .resize = kernels::ResizeKind::bicubic},
                               {.kind = Kind::conv,
                                .name = "exit1.conv",
                                .c_out = 12,
                                .kernel = 3,
                                .stride = 2,
                                .norm = true,
                                .act = Act::relu},
                               {.kind = Kind::max_pool, .name = "exit1.max", .kernel = 2, .stride = 1},
                               {.kind = Kind::global_avg_pool, .name = "exit1.pool"},
                               {.kind = Kind::linear, .name = "exit1.linear", .c_out = 5}}});
  a.stages.push_back(
      {.name = "final",
       .body = {{.kind = Kind::mbconv,
                 .name = "stage2.block1",
                 .c_out = 12,
                 .kernel = 3,
                 .stride = 2,
                 .pad = 1,
                 .act = Act::hard_swish,
                 .mid = 24,
                 .se = 8},
                {.kind = Kind::conv,
                 .name = "stage2.grouped",
                 .c_out = 12,
                 .kernel = 3,
                 .pad = 1,
                 .groups = 3,
                 .bias = true,
                 .act = Act::relu6}},
       .head = {{.kind = Kind::avg_pool, .name = "final.avg", .kernel = 3, .stride = 2, .pad = 1},
                {.kind = Kind::linear, .name = "final.linear", .c_out = 5}}});
  return a;
}

inline Tensor random_images(const nn::Architecture& a, i64 n, u64 seed) {
  Tensor x = Tensor::empty({n, a.height, a.width, a.channels});
  fill_reals(x.values<float>(), seed);
  return x;
}

inline Tensor random_labels(i64 n, i64 classes, u64 seed) {
  Tensor t = Tensor::empty({n}, DType::i64);
  Rng rng(seed);
  for (i64& v : t.values<i64>()) v = rng.below(u32(classes));
  return t;
}

// Bit for bit, NaN and signed zeros included.
inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const Tensor x = a.contiguous(), y = b.contiguous();
  return std::memcmp(x.bytes().data(), y.bytes().data(), x.bytes().size()) == 0;
}

}  // namespace offramp::testing
