// Gradients against central differences, in double.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace offramp {

struct GradcheckOptions {
  double step = 1e-5;
  double tolerance = 1e-6;  // of |analytic - numeric| / max(1, |analytic|, |numeric|)
  u64 seed = 1;             // of the upstream gradient
};

struct GradcheckResult {
  bool ok = false;
  double worst = 0;     // largest relative error seen
  std::string message;  // where, when not ok
};

// `function` maps variables to one variable. Every f64 input is checked, element by element: analytic
// gradients are computed in memory that held NaN, and a second backward() must double them. Other inputs are
// passed as they are.
GradcheckResult gradcheck(Exec& exec,
                          const std::function<Variable(Exec&, const std::vector<Variable>&)>& function,
                          std::vector<Tensor> inputs, const GradcheckOptions& options = {});

}  // namespace offramp
