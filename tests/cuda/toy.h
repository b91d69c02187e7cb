// Small spaces, networks and sets of images for device tests.
#pragma once
#include "data/dataset.h"
#include "nas/space/space.h"
#include "nn/network.h"

namespace offramp::testing {

inline constexpr i64 kToySide = 12;  // of images, where nothing else is wanted

// Choices of all kinds: subnets are slices of the largest network.
inline constexpr const char* kElasticSpace = R"(
name = "elastic"
resolution = "native"
[stem]
kernel = 3
stride = 2
width = 8
act = "relu"
[[stage]]
stride = 2
width = 8
depth = 1
kernel = 3
expand = [1, 2]
act = "relu"
[[stage]]
stride = 2
width = [8, 16]
depth = 1
kernel = [3, 5]
expand = 2
act = "hard_swish"
se = true
[[exit]]
after = 1
present = [0, 1]
)";

// Every layer type once: stem, a block with and one without expansion, squeeze-excite, residual, exits with
// pooling, separable and dense modules.
inline constexpr const char* kEveryLayerSpace = R"(
name = "every layer"
resolution = "native"
[stem]
kernel = 3
stride = 1
width = 8
act = "hard_swish"
[[stage]]
stride = 1
width = 8
depth = 2
kernel = 3
expand = 1
act = "relu"
[[stage]]
stride = 2
width = 16
depth = 2
kernel = 5
expand = 2
act = "hard_swish"
se = true
[final]
feature = { width = 24, act = "hard_swish" }
[[exit]]
after = 1
[[exit.module]]
type = "separable"
kernel = 3
width = 16
stride = 2
act = "relu"
[[exit.module]]
type = "dense"
kernel = 3
width = 16
stride = 2
act = "relu"
)";

// The largest network of a space given as text, with parameters of seed 3.
inline nn::EarlyExitNetwork largest_network(const char* space, const nas::Task& task, Device device) {
  const nas::Space parsed = nas::Space::parse(space, "toy");
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(device, fresh);
  return nn::EarlyExitNetwork(parsed.decode(parsed.max_genotype(), task), source);
}

// Noise; labels go round.
inline data::Dataset toy_images(i64 count, i64 side = kToySide, i64 classes = 3) {
  data::Dataset set{.name = "toy", .images = Tensor::empty({count, side, side, 3}, DType::u8)};
  Rng rng(5);
  for (u8& v : set.images.values<u8>()) v = u8(rng.below(256));
  for (i64 i = 0; i < count; ++i) set.labels.push_back(i % classes);
  for (i64 c = 0; c < classes; ++c) set.classes.push_back(std::string(1, char('a' + c)));
  return set;
}

}  // namespace offramp::testing
