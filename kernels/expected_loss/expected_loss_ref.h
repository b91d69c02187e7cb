// Reference of the expected loss: in double inside, rows and exits in order.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/expected_loss/expected_loss_call.h"

namespace offramp::kernels {

template <class T>
class ExpectedLossReference {
 public:
  explicit ExpectedLossReference(const ExpectedLossCallT<T>& call)
      : call_(call),
        entropy_(std::size_t(call.exits * call.rows)),
        right_(std::size_t(call.exits * call.rows)),
        gown_(std::size_t(call.exits * call.rows)) {}

  void run() {
    for (int e = 0; e < call_.exits; ++e)
      for (i64 s = 0; s < call_.rows; ++s) classify(e, s);
    double loss = expect();
    for (int e = 0; e + 1 < call_.exits; ++e) loss += be_true(e);
    *call_.loss = T(loss);
  }

 private:
  static constexpr double kClamp = 1e-4;

  std::size_t at(int e, i64 s) const { return std::size_t(e * call_.rows + s); }
  double sure(int e, i64 s) const {
    return e + 1 < call_.exits ? 1 / (1 + std::exp(-double(call_.exit[e].own[s]))) : 1;
  }
  double wanted(i64 c, i64 s) const {
    const double smoothing = call_.label_smoothing;
    return smoothing / double(call_.classes) + (c == call_.target[s] ? 1 - smoothing : 0);
  }
  // Of one answer: the largest logit, the first of equals, and the sum of exponentials below it.
  struct Softmax {
    i64 best;
    double most, sum;
  };
  Softmax softmax(int e, i64 s) const {
    const T* const x = call_.exit[e].x + s * call_.classes;
    const i64 best = std::max_element(x, x + call_.classes) - x;
    Softmax out{best, double(x[best]), 0};
    for (i64 c = 0; c < call_.classes; ++c) out.sum += std::exp(double(x[c]) - out.most);
    return out;
  }

  void classify(int e, i64 s) {
    const T* const x = call_.exit[e].x + s * call_.classes;
    const Softmax soft = softmax(e, s);
    right_[at(e, s)] = soft.best == call_.target[s];
    double loss = 0;
    for (i64 c = 0; c < call_.classes; ++c)
      loss += wanted(c, s) * (std::log(soft.sum) - (double(x[c]) - soft.most));
    entropy_[at(e, s)] = loss;
  }

  // What leaving is worth at each exit, and the gradients of both factors.
  double expect() {
    const double n = double(call_.rows);
    double classes = 0, mean_cost = 0;
    for (i64 s = 0; s < call_.rows; ++s) {
      double stay = 1;
      for (int e = 0; e < call_.exits; ++e) {
        const double c = sure(e, s), p = c * stay;
        classes += p * entropy_[at(e, s)] / n;
        mean_cost += p * call_.exit[e].cost / n;
        write_logits(e, s, call_.of_classes * p / n);
        stay *= 1 - c;
      }
    }
    const double over = std::max(mean_cost - call_.budget, 0.0), last_cost = call_.exit[call_.exits - 1].cost,
                 slope = over > 0 ? call_.of_cost / std::max(std::fabs(last_cost - call_.budget), 1e-9) : 0;
    for (i64 s = 0; s < call_.rows; ++s) {
      const auto worth = [&](int e) {  // d loss / d p_e
        double w = call_.of_classes * entropy_[at(e, s)];
        if (call_.cost_gradient) w += slope * call_.exit[e].cost;
        return w / n;
      };
      double beyond = worth(call_.exits - 1);  // of going on: expected over the exits behind
      for (int e = call_.exits - 1; e-- > 0;) {
        double reached = 1;
        for (int j = 0; j < e; ++j) reached *= 1 - sure(j, s);
        const double c = sure(e, s), here = worth(e);
        gown_[at(e, s)] = reached * (here - beyond) * c * (1 - c);
        beyond = c * here + (1 - c) * beyond;
      }
    }
    return call_.of_classes * classes + slope * over;
  }

  void write_logits(int e, i64 s, double weight) {
    if (!call_.exit[e].gx) return;
    const T* const x = call_.exit[e].x + s * call_.classes;
    const Softmax soft = softmax(e, s);
    for (i64 c = 0; c < call_.classes; ++c)
      call_.exit[e].gx[s * call_.classes + c] =
          T(weight * (std::exp(double(x[c]) - soft.most) / soft.sum - wanted(c, s)));
  }

  double be_true(int e) {
    const double n = double(call_.rows), share = 1 / (n * double(call_.exits - 1));
    const auto first = right_.begin() + i64(at(e, 0));
    const double hits = double(std::count(first, first + call_.rows, char(1)));
    double loss = 0;
    for (i64 s = 0; s < call_.rows; ++s) {
      const double c = sure(e, s), clamped = std::clamp(c, kClamp, 1 - kClamp);
      const bool hit = right_[at(e, s)];
      double g = gown_[at(e, s)];
      const double weight = call_.of_truth * share * n / (2 * (hit ? hits : n - hits));
      loss -= weight * std::log(hit ? clamped : 1 - clamped);
      if (clamped == c) g += weight * (c - (hit ? 1 : 0));
      const double peak = call_.peaks ? call_.peaks[i64(e) * call_.classes + call_.target[s]] : -1;
      if (peak >= 0) {
        const double off = c - peak;
        loss += call_.of_peak * share * off * off;
        g += call_.of_peak * share * 2 * off * c * (1 - c);
      }
      if (call_.exit[e].gown) call_.exit[e].gown[s] = T(g);
    }
    return loss;
  }

  const ExpectedLossCallT<T>& call_;
  std::vector<double> entropy_;  // [exit][row], as the next two
  std::vector<char> right_;
  std::vector<double> gown_;
};

}  // namespace offramp::kernels
