// Every differentiable operation at several odd shapes: one list, walked by several tests.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace offramp::testing {

struct OpCase {
  std::string name;
  std::vector<Shape> inputs;  // all of them are differentiated
  std::function<Variable(Exec&, const std::vector<Variable>&)> run;
  float low = -1, high = 1;  // range of the inputs' values
};

const std::vector<OpCase>& op_cases();

// f64 inputs of a case with values that floats represent exactly.
std::vector<Tensor> inputs_of(const OpCase& op, u64 seed);

}  // namespace offramp::testing
