// safetensors files: an 8-byte header length, a JSON header, then the tensors' bytes.
// Source: https://github.com/huggingface/safetensors (README, "Format").
#pragma once
#include <map>
#include <string>

#include "tensor/tensor.h"

namespace offramp {

struct SafeTensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;  // "__metadata__"
};

// F32, F64, I64 and U8. Throws Error(input) naming file and tensor; header length, names, dtypes, shapes and
// offsets (inside the file, in a row without gap or overlap) are all checked before anything is allocated.
SafeTensors read_safetensors(const std::string& path);

// The header alone: metadata without the weights. The same checks.
std::map<std::string, std::string> read_safetensors_metadata(const std::string& path);

// Atomically. The bytes depend on the contents only: widest dtype first, then by name; the data begin at a
// multiple of 8.
void write_safetensors(const std::string& path, const SafeTensors& contents);

}  // namespace offramp
