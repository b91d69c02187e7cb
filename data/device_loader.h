// Batches made on the card: the whole set lies there as bytes (Dataset::on_card, whoever asks), a kernel
// shuffles, augments, normalises and resizes. The sequence is a Loader's with the same options.
#pragma once
#include <memory>

#include "data/loader.h"

namespace offramp {
class Exec;
}

namespace offramp::data {

class DeviceLoader : public BatchSource {
 public:
  // `exec` stands for a card. Images come as `dtype`, f32 or bf16, in tensors that stay the same from batch
  // to batch and are overwritten by the next one. Throws as Loader does, and when the set has more than 2^31
  // images.
  DeviceLoader(Exec& exec, const Dataset& set, const Normalisation& normalisation,
               const LoaderOptions& options, DType dtype);
  ~DeviceLoader() override;

  i64 batches() const override;
  void start(i64 epoch) override;
  bool next(Batch& batch) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Batches where `exec` computes: a Loader's, or on a card a DeviceLoader's with images of `dtype`. The set
// must outlive them.
std::unique_ptr<BatchSource> source_of(Exec& exec, const Dataset& set, const Normalisation& normalisation,
                                       const LoaderOptions& options, DType dtype = DType::f32);

}  // namespace offramp::data
