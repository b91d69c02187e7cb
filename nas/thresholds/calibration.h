// Temperature scaling: how far an exit's logits have to be divided for its probabilities to be honest.
#pragma once
#include <span>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

// For each exit, the final one included, the temperature that minimises the mean negative log-likelihood of
// the labels. logits [samples][exits][classes], labels [samples] in 0..classes-1.
//
// The likelihood is convex in 1 / temperature, so bisection finds the minimum. Temperatures are taken from a
// fixed list, 64 to the octave from 1/16 to 16, so that the last bits of exp and log decide nothing. Source:
// Guo et al. 2017. Throws Error(usage) when sizes do not fit.
std::vector<float> fit_temperatures(std::span<const float> logits, std::span<const i32> labels, i64 exits,
                                    i64 classes);

// Mean negative log-likelihood of one exit at a temperature, in nats.
double negative_log_likelihood(std::span<const float> logits, std::span<const i32> labels, i64 exits,
                               i64 classes, i64 exit, float temperature);

}  // namespace offramp::nas
