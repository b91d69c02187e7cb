#include "nn/optim/schedule.h"

#include <cmath>

namespace offramp::nn {

double CosineSchedule::at(i64 step) const {
  if (step < warm_up) return base * double(step + 1) / double(warm_up);
  if (step >= steps) return final;
  const double done = double(step - warm_up) / double(steps - warm_up);
  return final + (base - final) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
}

}  // namespace offramp::nn
