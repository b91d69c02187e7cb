// A run as one self-contained HTML file: fronts, progress, final networks, failures, configuration.
#pragma once
#include <optional>
#include <string>

#include "nas/study/study.h"
#include "nn/plan/model.h"

namespace offramp::nas {

// `chosen`: the network in chosen.safetensors, when the run has got so far. The text depends on the study
// alone.
std::string html_report(const Study& study, const std::optional<nn::Model>& chosen);

// Reads the run directory and writes DIR/report.html; returns its path. Throws as read_study does.
std::string write_report(const std::string& dir);

}  // namespace offramp::nas
