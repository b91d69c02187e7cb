#include "nn/checkpoint.h"

#include "kernels/error.h"
#include "tensor/safetensors.h"

namespace offramp::nn {
namespace {

// All live tensors of a training run under the names of the file.
StateDict all_state(const Training& t) {
  StateDict out;
  const auto add = [&out](const std::string& prefix, const StateDict& part) {
    for (const auto& [name, tensor] : part) out.emplace(prefix + name, tensor);
  };
  if (t.network) add("network.", network_state(*t.network));
  if (t.optimizer) add("optimizer.", t.optimizer->state());
  if (t.ema) add("ema.", t.ema->state());
  return out;
}

}  // namespace

StateDict network_state(const EarlyExitNetwork& network) {
  StateDict out;
  for (const NamedParameter& p : network.named_parameters()) out.emplace(p.name, p.variable.value());
  for (const NamedBuffer& b : network.named_buffers()) out.emplace(b.name, b.tensor);
  return out;
}

void restore_tensors(const StateDict& to, const StateDict& from) {
  for (const auto& [name, tensor] : to) {
    const auto found = from.find(name);
    const std::string wanted =
        "tensor '" + name + "' " + std::string(dtype_name(tensor.dtype())) + " " + tensor.shape().str();
    if (found == from.end()) throw input_error("state: " + wanted + " wanted, not there");
    if (found->second.shape() != tensor.shape() || found->second.dtype() != tensor.dtype())
      throw input_error("state: " + wanted + " wanted, got " +
                        std::string(dtype_name(found->second.dtype())) + " " + found->second.shape().str());
  }
  for (const auto& [name, tensor] : to) {
    Tensor live = tensor;
    live.copy_from(from.at(name));
  }
}

void save_checkpoint(const std::string& path, const Training& training,
                     const std::map<std::string, std::string>& notes) {
  SafeTensors file;
  file.metadata = notes;
  for (const auto& [name, tensor] : all_state(training)) file.tensors.emplace(name, tensor.contiguous());
  write_safetensors(path, file);
}

std::map<std::string, std::string> load_checkpoint(const std::string& path, const Training& training) {
  const SafeTensors file = read_safetensors(path);
  try {
    restore_tensors(all_state(training), file.tensors);
  } catch (const Error& e) {
    throw Error(path + ": " + e.what(), e.kind());
  }
  return file.metadata;
}

}  // namespace offramp::nn
