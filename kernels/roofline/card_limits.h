// What a card can do, measured in the same run as whatever is held against it.
#pragma once
#include <algorithm>

#include "kernels/cuda/gpu.h"

namespace offramp::kernels {

struct CardLimits {
  double copy_gb_s = 0;        // device to device, bytes read and written
  double product_tflop_s = 0;  // products of the house's own kernel at a large size
  double node_us = 0;          // an empty kernel that waits for the one before it, in a graph

  // The least time of a call: the largest of its bytes, its arithmetic and being a node of a graph.
  double least_us(double bytes, i64 macs) const {
    return std::max({1e-3 * bytes / copy_gb_s, 2e-6 * double(macs) / product_tflop_s, node_us});
  }
};

// Products as `math` computes them.
CardLimits measure_card(offramp::cuda::Gpu& gpu, offramp::cuda::Math math);

}  // namespace offramp::kernels
