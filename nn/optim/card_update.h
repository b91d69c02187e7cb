// Updates of all parameters on a card, from gradients that lie there: learning rate, clipping, averages and
// the sums of losses stay on the card, so that nothing in a step waits and a step can be captured and
// replayed.
#pragma once
#include "nn/optim/ema.h"
#include "nn/optim/optimizer.h"

namespace offramp::nn {

class CardUpdate {
 public:
  // Everything lies on the card of `exec`. clip: greatest norm of all gradients, 0: none. ema may be null.
  CardUpdate(Exec& exec, Optimizer& optimizer, Ema* ema, double clip);

  void start_epoch();        // the sums begin anew
  void set_step(double lr);  // before a step, outside of a captured one
  void step(const Tensor& loss);

  struct Sums {
    double loss = 0, steps = 0,
           not_finite = 0;  // not_finite: steps whose loss or gradient was not; they updated nothing
  };
  Sums read() const;  // waits for the device

 private:
  Exec& exec_;
  Optimizer& optimizer_;
  Ema* ema_;
  double clip_;
  Tensor state_;  // a kernels::cuda::StepState
};

}  // namespace offramp::nn
