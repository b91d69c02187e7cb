// Which of NVIDIA's libraries this build has rows of; empty without.
#pragma once
#include <string>

namespace offramp::cuda {

std::string cublas_version();  // "13.0.2"
std::string cudnn_version();   // "9.19.0"

}  // namespace offramp::cuda
