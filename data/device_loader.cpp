#include "data/device_loader.h"

#include <algorithm>
#include <utility>

#include "kernels/augment/augment.h"
#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/exec.h"
#include "kernels/resize/resize.h"

namespace offramp::data {
namespace {

// A copy on the card of values of the host.
template <class T>
Tensor on_card(const std::vector<T>& values) {
  return Tensor::from<T>(values, {i64(values.size())}).to(Device::cuda);
}

}  // namespace

struct DeviceLoader::State {
  Exec& exec;
  const Dataset& set;
  const LoaderOptions options;
  i64 height, width;
  CardBytes::Tensors set_bytes;
  Tensor order, table, scale;                 // order: i32 in the bits of f32
  Tensor stored, batch_images, batch_labels;  // stored: before a change of size
  i64 epoch = 0, given = 0;
  bool running = false;

  i64 batches() const { return batches_of(set.size(), options); }
  i64 size_of(i64 number) const { return std::min(options.batch, set.size() - number * options.batch); }
};

DeviceLoader::DeviceLoader(Exec& exec, const Dataset& set, const Normalisation& normalisation,
                           const LoaderOptions& options, DType dtype) {
  require_loadable(set, options);
  if (set.size() > i64{1} << 31) throw usage_error("loader: more than 2^31 images");
  state_.reset(new State{.exec = exec, .set = set, .options = options});
  State& s = *state_;
  s.height = options.height > 0 ? options.height : set.height();
  s.width = options.width > 0 ? options.width : set.width();
  const Normaliser normaliser(normalisation, set.channels());
  s.set_bytes = set.on_card();
  s.table = on_card(normaliser.table());
  std::vector<float> scale = normaliser.scale();
  scale.insert(scale.end(), normaliser.shift().begin(), normaliser.shift().end());
  s.scale = on_card(scale);
  s.order = Tensor::empty({set.size()}, DType::f32, Device::cuda);
  const bool resizes = s.height != set.height() || s.width != set.width();
  if (resizes)
    s.stored = Tensor::empty({options.batch, set.height(), set.width(), set.channels()}, dtype, Device::cuda);
  s.batch_images = Tensor::empty({options.batch, s.height, s.width, set.channels()}, dtype, Device::cuda);
  s.batch_labels = Tensor::empty({options.batch}, DType::i64, Device::cuda);
}

DeviceLoader::~DeviceLoader() = default;

i64 DeviceLoader::batches() const { return state_->batches(); }

void DeviceLoader::start(i64 epoch) {
  State& s = *state_;
  const std::vector<i64> order = order_of(s.set.size(), s.options, epoch);
  Tensor indices = Tensor::empty({s.set.size()});
  auto* to = reinterpret_cast<i32*>(indices.data<float>());
  std::transform(order.begin(), order.end(), to, [](i64 i) { return i32(i); });
  s.order.copy_from(indices);
  s.epoch = epoch;
  s.given = 0;
  s.running = true;
}

bool DeviceLoader::next(Batch& batch) {
  State& s = *state_;
  if (!s.running || s.given == s.batches()) return false;
  const i64 first = s.given++ * s.options.batch, n = s.size_of(first / s.options.batch);
  const bool resizes = s.stored.defined();
  const auto part = [n](const Tensor& t) { return t.defined() ? t.slice(0, 0, n) : t; };
  batch.images = part(s.batch_images);
  batch.labels = part(s.batch_labels);
  batch.indices.assign(std::size_t(n), 0);  // known to the card alone
  if constexpr (cuda::kBuilt) {
    const auto run = [&](auto zero) {
      using T = decltype(zero);
      Tensor target = resizes ? part(s.stored) : batch.images;
      kernels::cuda::augment(
          s.exec, kernels::AugmentCallT<T>{
                      .n = n,
                      .h = s.set.height(),
                      .w = s.set.width(),
                      .channels = int(s.set.channels()),
                      .images = std::as_const(s.set_bytes.images).data<u8>(),
                      .labels = std::as_const(s.set_bytes.labels).data<i64>(),
                      .indices = reinterpret_cast<const i32*>(std::as_const(s.order).data<float>()) + first,
                      .table = std::as_const(s.table).data<float>(),
                      .scale = std::as_const(s.scale).data<float>(),
                      .augment = s.options.augment.any(),
                      .options = s.options.augment,
                      .seed = s.options.seed,
                      .epoch = u64(s.epoch),
                      .out = target.data<T>(),
                      .labels_out = batch.labels.data<i64>()});
      if (resizes)
        kernels::resize(s.exec, kernels::ResizeCallT<T>{.dims = {.n = n,
                                                                 .h = s.set.height(),
                                                                 .w = s.set.width(),
                                                                 .c = s.set.channels(),
                                                                 .out_h = s.height,
                                                                 .out_w = s.width,
                                                                 .kind = s.options.resize},
                                                        .x = std::as_const(target).data<T>(),
                                                        .y = batch.images.data<T>()});
    };
    s.batch_images.dtype() == DType::bf16 ? run(Bf16{}) : run(float{});
  }
  return true;
}

std::unique_ptr<BatchSource> source_of(Exec& exec, const Dataset& set, const Normalisation& normalisation,
                                       const LoaderOptions& options, DType dtype) {
  if (!exec.gpu()) return std::make_unique<Loader>(set, normalisation, options);
  return std::make_unique<DeviceLoader>(exec, set, normalisation, options, dtype);
}

}  // namespace offramp::data
