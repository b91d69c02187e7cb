// The support set of NACHOS: a part of the training images, as many of each class, that is not trained on but
// tells how often an exit is right about a class; learned confidences follow that ("peaks").
#pragma once
#include "nas/train/network_trainer.h"
#include "nas/train/parts.h"

namespace offramp::nas {

struct SupportSplit {
  data::Dataset train, support;
};

// share * size / classes images of each class (at least one, fewer where a class has fewer), drawn by `seed`.
SupportSplit split_support(const data::Dataset& set, double share, u64 seed);

// f64 [early exits, classes] on the host: the share of the set's images of a class that each early exit
// answers rightly, by batch statistics (a frozen backbone by its own), so that it is a function of the
// parameters alone; 0 for a class without images. Running statistics are touched.
Tensor class_accuracies(Exec& exec, nn::EarlyExitNetwork& network, Part part, const TrainingData& support,
                        i64 batch);

}  // namespace offramp::nas
