// Operators that `offramp op` runs: their inputs, attributes and outputs.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace offramp::cli {

struct OperatorInput {
  std::string name;
  bool optional = false;
  bool differentiable = true;  // --grad writes "g" + name
  bool integers = false;       // int64 labels instead of floating point
};

struct OperatorAttribute {
  std::string name;
  double low, high;  // accepted range, both ends included
  double initial;    // when not given; NaN: has to be given
  bool whole = true;
};

// Values by name. Optional inputs that are absent are undefined variables.
struct OperatorArguments {
  std::map<std::string, Variable> inputs;
  std::map<std::string, double> attributes;

  const Variable& in(const std::string& name) const { return inputs.at(name); }
  double real(const std::string& name) const { return attributes.at(name); }
  i64 whole(const std::string& name) const { return i64(attributes.at(name)); }
};

struct OperatorOutput {
  Variable y;
  std::vector<std::pair<std::string, Tensor>> more;  // outputs that have no gradient
};

struct Operator {
  std::string name;
  std::vector<OperatorInput> inputs;
  std::vector<OperatorAttribute> attributes;
  std::function<OperatorOutput(Exec&, const OperatorArguments&)> run;
};

std::span<const Operator> operators();

}  // namespace offramp::cli
