// Everything a training run needs to go on exactly where it stopped, in one safetensors file.
#pragma once
#include <map>
#include <string>

#include "nn/network.h"
#include "nn/optim/ema.h"
#include "nn/optim/optimizer.h"

namespace offramp::nn {

// Parameters and buffers by name, views of the live tensors.
StateDict network_state(const EarlyExitNetwork& network);

// Copies `from` into the equally named tensors of `to` (live views). Throws Error(input) when one is missing,
// or has another shape or type; nothing is changed then. Tensors that `to` lacks are ignored.
void restore_tensors(const StateDict& to, const StateDict& from);

// What a checkpoint holds; any of the pointers may be null.
struct Training {
  EarlyExitNetwork* network = nullptr;  // "network.<name>"
  Optimizer* optimizer = nullptr;       // "optimizer.<name>"
  Ema* ema = nullptr;                   // "ema.<name>"
};

// Written atomically. `notes` are the caller's (epoch, seed, ...). Bit-exact for f32 and f64.
void save_checkpoint(const std::string& path, const Training& training,
                     const std::map<std::string, std::string>& notes = {});
// Restores all parts that are asked for and returns the notes. Throws Error(input) naming file and tensor
// when the file is damaged or does not fit; nothing is changed then.
std::map<std::string, std::string> load_checkpoint(const std::string& path, const Training& training);

}  // namespace offramp::nn
