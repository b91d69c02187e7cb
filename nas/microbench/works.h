// What each kind of step gives to time, by family. `text` is the step in text form.
#pragma once
#include <string>
#include <vector>

#include "nas/microbench/work.h"
#include "nn/plan/plan.h"

namespace offramp::nas::microbench {

// Multiply-accumulates: works_conv.cpp.
std::vector<Work> inference_works(const std::string& text, const kernels::Conv2dDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::DepthwiseDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::GemmDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::Conv2dDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::DepthwiseDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::GemmDims& d);

// Everything else: works_pointwise.cpp.
std::vector<Work> inference_works(const std::string& text, const kernels::PoolDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::GlobalPoolDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::NormDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::ActDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::BinaryDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::ResizeDims& d);
std::vector<Work> inference_works(const std::string& text, const kernels::SoftmaxDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::PoolDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::GlobalPoolDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::NormDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::ActDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::BinaryDims& d);
std::vector<Work> training_works(const std::string& text, const kernels::ResizeDims& d);
inline std::vector<Work> training_works(const std::string&, const kernels::SoftmaxDims&) { return {}; }
std::vector<Work> update_works(const std::string& text, i64 count);

}  // namespace offramp::nas::microbench
