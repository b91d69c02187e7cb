// Batches of a data set: shuffled, augmented, normalised, resized; the next one is prepared on a thread of
// its own while the current one is computed. The sequence depends on (data, options, epoch) only.
#pragma once
#include <memory>
#include <vector>

#include "data/augment.h"
#include "kernels/resize/resize_call.h"

namespace offramp::data {

struct Batch {
  Tensor images;             // [n,h,w,c], f32 unless the source says otherwise
  Tensor labels;             // i64 [n], in the same memory
  std::vector<i64> indices;  // into the data set
  i64 size() const { return i64(indices.size()); }
};

struct LoaderOptions {
  i64 batch = 64;
  bool shuffle = false;       // by (seed, epoch)
  bool drop_last = false;     // leave out a last batch that is not full (unless it is the only one)
  u64 seed = 0;               // of order and augmentation
  Augment augment;            // drawn per (seed, epoch, sample): not changed by batch size or order
  i64 height = 0, width = 0;  // resize to (0: as stored)
  kernels::ResizeKind resize = kernels::ResizeKind::bilinear;
};

// Where batches come from, epoch by epoch.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual i64 batches() const = 0;  // per epoch
  // Begins an epoch; what was left of the one before is dropped.
  virtual void start(i64 epoch) = 0;
  // The next batch; false at the end of the epoch (or before any start).
  virtual bool next(Batch& batch) = 0;
};

// What every source of these options agrees on.
i64 batches_of(i64 samples, const LoaderOptions& options);
std::vector<i64> order_of(i64 samples, const LoaderOptions& options, i64 epoch);
// Throws Error(usage) for an empty set or a batch < 1.
void require_loadable(const Dataset& set, const LoaderOptions& options);

// On the host.
class Loader : public BatchSource {
 public:
  // `set` must outlive the loader. Throws as require_loadable does.
  Loader(const Dataset& set, const Normalisation& normalisation, LoaderOptions options);
  ~Loader() override;
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  i64 batches() const override;
  void start(i64 epoch) override;
  bool next(Batch& batch) override;  // rethrows what failed on the thread

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One image u8 [h,w,c] as a network takes it: f32 [1,height,width,c], normalised, then resized - what a
// Loader without augmentation does to it, so that prediction and evaluation agree.
Tensor network_input(const Tensor& image, const Normalisation& normalisation, i64 height, i64 width,
                     kernels::ResizeKind kind = kernels::ResizeKind::bilinear);

}  // namespace offramp::data
