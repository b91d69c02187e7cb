// A small network with two early exits that uses every kind of layer.
#pragma once
#include "kernels/rng.h"
#include "nn/network.h"

namespace offramp::testing {

// `learned`: the early exits learn a confidence, and the first begins with an activation, which is not the
// trunk's.
inline nn::Architecture sample_architecture(bool learned = false) {
  using K = nn::LayerSpec::Kind;
  const i64 outputs = learned ? 6 : 5;
  nn::Architecture a{
      .height = 14,
      .width = 12,
      .channels = 3,
      .classes = 5,
      .learned_confidence = learned,
      .stages = {
          {.name = "stage1",
           .body = {{.kind = K::conv,
                     .name = "stem",
                     .c_out = 8,
                     .kernel = 3,
                     .stride = 2,
                     .pad = 1,
                     .norm = true,
                     .act = Act::hard_swish},
                    {.kind = K::mbconv,
                     .name = "b1",
                     .c_out = 8,
                     .kernel = 5,
                     .stride = 1,
                     .pad = 2,
                     .act = Act::relu,
                     .mid = 24}},
           .head = {{.kind = K::resize,
                     .name = "e1.resize",
                     .out_h = 9,
                     .out_w = 9,
                     .resize = kernels::ResizeKind::bicubic},
                    {.kind = K::conv,
                     .name = "e1.conv",
                     .c_out = 16,
                     .kernel = 3,
                     .stride = 2,
                     .norm = true,
                     .act = Act::relu},
                    {.kind = K::max_pool, .name = "e1.pool", .kernel = 2, .stride = 2},
                    {.kind = K::global_avg_pool, .name = "e1.gap"},
                    {.kind = K::linear, .name = "e1.linear", .c_out = outputs}}},
          {.name = "stage2",
           .body = {{.kind = K::mbconv,
                     .name = "b2",
                     .c_out = 16,
                     .kernel = 3,
                     .stride = 2,
                     .pad = 1,
                     .act = Act::hard_swish,
                     .mid = 24,
                     .se = 8},
                    {.kind = K::mbconv,
                     .name = "b3",
                     .c_out = 16,
                     .kernel = 3,
                     .stride = 1,
                     .pad = 1,
                     .act = Act::hard_swish,
                     .mid = 40,
                     .se = 8}}},
          {.name = "stage3",
           .body = {{.kind = K::conv,
                     .name = "dw",
                     .c_out = 16,
                     .kernel = 3,
                     .pad = 1,
                     .groups = 16,
                     .norm = true,
                     .act = Act::relu6},
                    {.kind = K::avg_pool, .name = "ap", .kernel = 2, .stride = 1}},
           .head = {{.kind = K::global_avg_pool, .name = "e3.gap"},
                    {.kind = K::linear, .name = "e3.linear", .c_out = outputs}}},
          {.name = "final",
           .body = {{.kind = K::mbconv,
                     .name = "b4",
                     .c_out = 24,
                     .kernel = 3,
                     .stride = 1,
                     .pad = 1,
                     .act = Act::hard_swish,
                     .mid = 16}},
           .head = {{.kind = K::conv, .name = "f.feature", .c_out = 32, .norm = true, .act = Act::hard_swish},
                    {.kind = K::global_avg_pool, .name = "f.gap"},
                    {.kind = K::conv, .name = "f.hidden", .c_out = 32, .bias = true, .act = Act::hard_swish},
                    {.kind = K::linear, .name = "f.linear", .c_out = 5}}}}};
  if (learned)
    a.stages[0].head.insert(a.stages[0].head.begin(),
                            {.kind = K::activation, .name = "e1.act", .act = Act::relu});
  return a;
}

// Parameters and statistics away from their start values, so that a lost scale or shift shows.
inline nn::EarlyExitNetwork sample_network(u64 seed = 1, bool learned = false) {
  nn::FreshParameters fresh{Rng(seed)};
  nn::EarlyExitNetwork net(sample_architecture(learned), fresh);
  Rng rng(seed, 77);
  const auto stir = [&](Tensor t, float low, float high) {
    for (float& v : t.values<float>()) v = rng.uniform(low, high);
  };
  for (const auto& p : net.named_parameters()) {
    if (p.name.ends_with(".gamma")) stir(p.variable.value(), 0.5f, 1.5f);
    if (p.name.ends_with(".beta") || p.name.ends_with(".bias")) stir(p.variable.value(), -0.5f, 0.5f);
  }
  for (const auto& b : net.named_buffers()) {
    if (b.name.ends_with(".mean")) stir(b.tensor, -0.5f, 0.5f);
    if (b.name.ends_with(".var")) stir(b.tensor, 0.5f, 2.0f);
  }
  return net;
}

inline std::vector<float> sample_images(i64 n, u64 seed = 5) {
  std::vector<float> images(size_t(n * 14 * 12 * 3));
  Rng rng(seed);
  for (float& v : images) v = rng.uniform(-2, 2);
  return images;
}

}  // namespace offramp::testing
