#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "nn/plan/dims_fields.h"
#include "nn/plan/plan.h"

namespace offramp::nn {

using namespace kernels;

namespace {

// One sample of a buffer, and one weight, stay below this: products of two extents cannot overflow, and a
// plan cannot ask for more memory than a network of this kind can need.
constexpr i64 kMaxExtent = i64{1} << 20, kMaxFloats = i64{1} << 26;

i64 product(std::initializer_list<i64> extents) {
  i64 result = 1;
  for (i64 e : extents) {
    if (e < 1 || e > kMaxFloats || result > kMaxFloats / e)
      throw input_error("an extent or a product of extents is outside 1.." + std::to_string(kMaxFloats));
    result *= e;
  }
  return result;
}

// Floats that one sample of a step reads and writes, and the sizes of its weights.
struct Sizes {
  i64 x = 0, y = 0, z = 0;  // z 0: takes no second operand
  bool z_optional = false;
  Shape w;                        // of the weight, without extents: takes none
  i64 bias = 0, per_channel = 0;  // 0: takes none; bias is optional, per_channel is for norm
};

struct SizesOf {
  Sizes operator()(const Conv2dDims& d) const {
    product({d.h + 2 * d.pad, d.w + 2 * d.pad, d.c_in});
    require_conv2d(d);
    const Extent out = conv2d_out(d);
    const i64 y = product({out.h, out.w, d.c_out});
    return {.x = product({d.n, d.h, d.w, d.c_in}),
            .y = y,
            .z = y,
            .z_optional = true,
            .w = {d.c_out, d.kernel, d.kernel, d.c_in / d.groups},
            .bias = d.c_out};
  }
  Sizes operator()(const DepthwiseDims& d) const {
    product({d.h + 2 * d.pad, d.w + 2 * d.pad, d.c});
    require_depthwise(d);
    const Extent out = depthwise_out(d);
    return {.x = product({d.n, d.h, d.w, d.c}),
            .y = product({out.h, out.w, d.c}),
            .w = {d.c, d.kernel, d.kernel, 1},
            .bias = d.c};
  }
  Sizes operator()(const GemmDims& d) const {
    const i64 y = product({d.m, d.n});
    return {.x = product({d.m, d.k}), .y = y, .z = y, .z_optional = true, .w = {d.n, d.k}, .bias = d.n};
  }
  Sizes operator()(const PoolDims& d) const {
    product({d.h + 2 * d.pad, d.w + 2 * d.pad, d.c});
    require_pool(d);
    const Extent out = pool_out(d);
    return {.x = product({d.n, d.h, d.w, d.c}), .y = product({out.h, out.w, d.c})};
  }
  Sizes operator()(const GlobalPoolDims& d) const {
    return {.x = product({d.n, d.hw, d.c}), .y = product({d.n, d.c})};
  }
  Sizes operator()(const NormDims& d) const {
    const i64 count = product({d.rows, d.c});
    return {.x = count, .y = count, .per_channel = d.c};
  }
  Sizes operator()(const ActDims& d) const { return {.x = product({d.count}), .y = d.count}; }
  Sizes operator()(const BinaryDims& d) const {
    const i64 count = product({d.n, d.hw, d.c});
    return {.x = count, .y = count, .z = d.broadcast ? product({d.n, d.c}) : count};
  }
  Sizes operator()(const ResizeDims& d) const {
    require_resize(d);
    return {.x = product({d.n, d.h, d.w, d.c}), .y = product({d.n, d.out_h, d.out_w, d.c})};
  }
  Sizes operator()(const SoftmaxDims& d) const {
    const i64 count = product({d.rows, d.classes});
    return {.x = count, .y = count};
  }
};

Sizes sizes_of(StepDims dims) {
  visit_fields(dims, [](const char* name, auto value) {
    if (i64(value) < 0 || i64(value) > kMaxFloats) throw input_error(std::string(name) + " is out of range");
  });
  return std::visit(SizesOf{}, dims);
}

class Checker {
 public:
  explicit Checker(const Plan& plan)
      : plan_(plan), written_(plan.buffers.size()), dead_(plan.buffers.size()) {}

  void run() {
    const i64 image = product({plan_.height, plan_.width, plan_.channels});
    want(plan_.classes >= 2 && plan_.classes <= kMaxExtent, "classes must be at least 2");
    want(!plan_.stages.empty(), "there is no stage");
    want(!plan_.buffers.empty() && plan_.buffers[0] == image, "buffer 0 must hold one input image");
    for (i64 floats : plan_.buffers) product({floats});
    written_[0] = true;
    int features = 0;
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      const PlanStage& stage = plan_.stages[s];
      where_ = "stage " + std::to_string(s) + " ('" + stage.name + "')";
      const std::string here = where_;
      want(index(stage.features) && (!stage.body.empty() || stage.features == features),
           "features must be a buffer that the body writes");
      steps(stage.body, here + " body");
      want(written_[size_t(stage.features)], "its body never writes its features");
      features = stage.features;
      if (stage.has_exit()) {
        want(index(stage.logits) && plan_.buffers[size_t(stage.logits)] == plan_.outputs(s),
             plan_.outputs(s) > plan_.classes
                 ? "logits must be a buffer of one value per class and one of confidence"
                 : "logits must be a buffer of one value per class");
        want(!written_[size_t(stage.logits)], "logits are written before the head");
        steps(stage.head, here + " head");
        want(written_[size_t(stage.logits)], "its head never writes its logits");
      }
      // Samples that leave are moved out of the features alone, so nothing else may cross a stage.
      for (size_t b = 0; b < written_.size(); ++b) {
        if (written_[b]) dead_[b] = true;
        written_[b] = false;
      }
      written_[size_t(features)] = true;
    }
    where_.clear();
    want(plan_.stages.back().has_exit(), "the last stage has no head");
    for (size_t b = 0; b < dead_.size(); ++b)  // would ask for memory that nobody uses
      want(dead_[b], [&] { return "no step writes buffer " + std::to_string(b); });
  }

 private:
  bool index(int buffer) const { return buffer >= 0 && size_t(buffer) < plan_.buffers.size(); }

  // `what` in words, or a function that finds them: most plans are right, and words take longer than checks.
  template <class What>
  void want(bool ok, const What& what) const {
    if (ok) return;
    std::string where = where_, words;
    if (step_) where += " step " + std::to_string(at_) + " (" + std::string(op_name(step_->dims)) + ")";
    if constexpr (std::is_invocable_v<What>)
      words = what();
    else
      words = what;
    throw input_error("plan: " + (where.empty() ? words : where + ": " + words));
  }

  void buffer_holds(int buffer, i64 floats, const char* name) const {
    want(index(buffer), [&] { return std::string(name) + " is not a buffer"; });
    want(plan_.buffers[size_t(buffer)] == floats, [&] {
      return std::string(name) + " needs a buffer of " + std::to_string(floats) + " floats, got one of " +
             std::to_string(plan_.buffers[size_t(buffer)]);
    });
  }

  void weight_holds(int weight, const Shape& shape, const char* name) const {
    want(weight >= 0 && size_t(weight) < plan_.weights.size(),
         [&] { return std::string(name) + " is not a weight"; });
    const PlanWeight& w = plan_.weights[size_t(weight)];
    want(w.value.dtype() == DType::f32 && w.value.is_contiguous() && w.value.shape() == shape, [&] {
      return std::string(name) + " needs float32 " + shape.str() + ", '" + w.name + "' is " +
             std::string(dtype_name(w.value.dtype())) + " " + w.value.shape().str();
    });
  }

  void steps(const std::vector<Step>& list, const std::string& segment) {
    const std::string outside = std::exchange(where_, segment);
    for (at_ = 0; at_ < list.size(); ++at_) {
      step_ = &list[at_];
      step(list[at_]);
    }
    step_ = nullptr;
    where_ = outside;
  }

  void step(const Step& s) {
    Sizes sizes;
    try {
      sizes = sizes_of(s.dims);
    } catch (const Error& e) {
      want(false, e.what());
    }
    buffer_holds(s.x, sizes.x, "x");
    want(written_[size_t(s.x)], "x is read before it is written");
    if (sizes.z > 0 && (s.z >= 0 || !sizes.z_optional)) {
      buffer_holds(s.z, sizes.z, "z");
      want(written_[size_t(s.z)], "z is read before it is written");
    } else {
      want(s.z < 0, "takes no second operand");
    }
    buffer_holds(s.y, sizes.y, "y");
    want(!written_[size_t(s.y)] && !dead_[size_t(s.y)] && s.y != 0, "y is written twice");
    written_[size_t(s.y)] = true;

    if (sizes.w.rank() > 0) weight_holds(s.w, sizes.w, "w");
    want(sizes.w.rank() > 0 || s.w < 0, "takes no weights");
    if (s.bias >= 0) {
      want(sizes.bias > 0, "takes no bias");
      weight_holds(s.bias, {sizes.bias}, "bias");
    }
    if (sizes.per_channel > 0) {
      weight_holds(s.mean, {sizes.per_channel}, "mean");
      weight_holds(s.var, {sizes.per_channel}, "var");
      weight_holds(s.gamma, {sizes.per_channel}, "gamma");
      weight_holds(s.beta, {sizes.per_channel}, "beta");
      want(s.eps > 0 && s.eps < 1, "eps must lie between 0 and 1");
    }
  }

  const Plan& plan_;
  std::vector<bool> written_, dead_;  // holds a value now; held one in an earlier stage
  std::string where_;                 // stage or part of it
  const Step* step_ = nullptr;        // looked at, at_-th of its part
  size_t at_ = 0;
};

}  // namespace

void require_valid(const Plan& plan) { Checker(plan).run(); }
void require_valid(const StepDims& dims) { sizes_of(dims); }

}  // namespace offramp::nn
