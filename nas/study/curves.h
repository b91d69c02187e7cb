// curves.csv of a run: what each of its final networks does at every choice of thresholds that its model file
// keeps. A network is a whole curve of accuracy over average MACs; a row of front.csv is one point of it.
#pragma once
#include <string>
#include <vector>

#include "nas/thresholds/policy.h"
#include "nn/plan/model.h"

namespace offramp::nas {

struct CurveRow {
  i64 id = 0;  // of the network
  double accuracy_tune = 0, avg_macs_tune = 0, accuracy_test = 0, avg_macs_test = 0;
};

// The rows of one network as text, from its answers on the test split.
std::string curve_text(i64 id, const nn::Model& model, const ExitTable& test, const ExitCosts& costs);
// The whole file, from the texts of its networks.
std::string curves_csv(const std::vector<std::string>& texts);
// Throws Error(input) naming the line that is damaged.
std::vector<CurveRow> read_curves(const std::string& path);

// Those that no other of them beats on the tune split: what somebody who has not seen the test split would
// choose from.
std::vector<CurveRow> non_dominated(const std::vector<CurveRow>& rows);

}  // namespace offramp::nas
