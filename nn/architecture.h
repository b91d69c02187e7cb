// What a network is, as a plain value: the stage list from which it is built, and nothing about its weights.
#pragma once
#include <string>
#include <vector>

#include "kernels/resize/resize_call.h"
#include "kernels/types.h"

namespace offramp::nn {

// One layer. Fields that a kind does not use keep their default, so equal layers compare equal.
struct LayerSpec {
  enum class Kind {
    conv,    // convolution [+ batch norm] [+ bias] + act; groups = c_in = c_out is depthwise
    mbconv,  // expand 1x1, depthwise k, [squeeze-excite], project 1x1; residual when stride 1 and c_in =
             // c_out
    max_pool,
    avg_pool,
    global_avg_pool,  // [n,h,w,c] -> [n,1,1,c]
    resize,           // to out_h x out_w
    activation,       // act alone
    linear            // [n,h,w,c] flattened -> [n,c_out]; with bias
  };
  Kind kind;
  std::string name;  // unique in the network: "stage1.block2"; parameters are name + ".expand.weight", ...
  i64 c_out = 0;     // conv, mbconv, linear
  i64 kernel = 1, stride = 1, pad = 0, groups = 1;
  bool norm = false, bias = false;  // conv
  Act act = Act::none;
  i64 mid = 0;               // mbconv: expanded channels; equal to c_in: no expansion convolution
  i64 se = 0;                // mbconv: channels inside squeeze-excite, 0 = none
  i64 out_h = 0, out_w = 0;  // resize
  kernels::ResizeKind resize = kernels::ResizeKind::bilinear;
  friend bool operator==(const LayerSpec&, const LayerSpec&) = default;
};

// A piece of the backbone and the exit behind it. The last stage's head is the final classifier.
struct StageSpec {
  std::string name;  // "stage1", ..., "final": the name of the exit
  std::vector<LayerSpec> body;
  std::vector<LayerSpec> head;  // empty: no exit here; else ends in a linear layer (Architecture::outputs)
  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};

struct Architecture {
  i64 height = 0, width = 0, channels = 0, classes = 0;  // input [n,height,width,channels]
  // Early exits have one output more, the last: the logit of a confidence that they learn themselves.
  bool learned_confidence = false;
  std::vector<StageSpec> stages;

  // Of the head of a stage.
  i64 outputs(std::size_t stage) const {
    return classes + (learned_confidence && stage + 1 < stages.size() ? 1 : 0);
  }
  friend bool operator==(const Architecture&, const Architecture&) = default;
};

}  // namespace offramp::nn
