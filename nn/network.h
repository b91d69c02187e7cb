// A network with exits, built from its architecture and a source of weights.
#pragma once
#include <memory>
#include <vector>

#include "nn/architecture.h"
#include "nn/layers/layer.h"
#include "nn/parameters.h"

namespace offramp::nn {

class EarlyExitNetwork {
 public:
  // Throws Error(input) when the architecture does not fit together (require_architecture) or the source
  // returns a tensor of another shape.
  EarlyExitNetwork(Architecture architecture, ParameterSource& source, const NetworkOptions& options = {});

  const Architecture& architecture() const { return architecture_; }
  i64 stage_count() const { return i64(stages_.size()); }
  bool has_head(i64 stage) const { return !stages_[size_t(stage)].head.empty(); }
  i64 exit_count() const;  // stages with a head

  // x: the input [n,height,width,channels] for stage 0, else the previous stage's features.
  Variable body(Exec& exec, i64 stage, const Variable& x, Mode mode);
  // [n, architecture().outputs(stage)]: logits, behind them that of a learned confidence. Throws Error(usage)
  // when the stage has no head.
  Variable head(Exec& exec, i64 stage, const Variable& features, Mode mode);
  // Logits [n,classes] of every stage that has a head, in order; in `confidence`, unless it is null, the
  // logits [n,1] of the confidences that the early ones learn. `equilibrium`: where exit i of k leaves the
  // trunk (from 1), the gradient of the exit is multiplied by 1/(k-i+1) and that of the rest by
  // (k-i)/(k-i+1); so a part of the trunk gets the mean over the exits behind it, not their sum. Source: Li
  // et al. 2019, "Improved Techniques for Training Adaptive Deep Networks".
  std::vector<Variable> forward(Exec& exec, const Variable& x, Mode mode, bool equilibrium = false,
                                std::vector<Variable>* confidence = nullptr);
  // What forward() makes of a head's outputs.
  Variable answer(i64 stage, const Variable& outputs, std::vector<Variable>* confidence) const;

  // The next batch in Mode::recalibrate is the first of a new average.
  void reset_statistics();

  // In the order of the layers.
  const std::vector<NamedParameter>& named_parameters() const { return parameters_; }
  const std::vector<NamedBuffer>& named_buffers() const { return buffers_; }

 private:
  using Layers = std::vector<std::unique_ptr<Layer>>;
  struct Stage {
    Layers body, head;
  };
  static Variable run(Exec& exec, Layers& layers, Variable x, Mode mode);
  Architecture architecture_;
  std::vector<Stage> stages_;
  std::vector<NamedParameter> parameters_;
  std::vector<NamedBuffer> buffers_;
};

}  // namespace offramp::nn
