// The shape rules of an architecture: what fits behind what.
#pragma once
#include <vector>

#include "nn/architecture.h"

namespace offramp::nn {

// What flows between layers, per sample.
struct FeatureShape {
  i64 h, w, c;
  bool flat = false;  // [n,c], behind a linear layer; else [n,h,w,c]
  friend bool operator==(const FeatureShape&, const FeatureShape&) = default;
};

// Throws Error(input) naming the layer when its values make no sense or it does not fit its input.
FeatureShape layer_output(const LayerSpec& layer, const FeatureShape& in);

// Checks the whole architecture: every chain, unique names, heads that end in a linear layer with the
// outputs of their stage, a head on the last stage. Returns the shape behind each stage's body. Throws
// Error(input) naming stage and layer.
std::vector<FeatureShape> require_architecture(const Architecture& architecture);

}  // namespace offramp::nn
