#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>

#include "kernels/error.h"
#include "kernels/resize/resize.h"

namespace offramp::data {

namespace {

constexpr size_t kAhead = 2;  // batches prepared beforehand
constexpr u64 kOrder = 1;     // stream of the loader's random numbers; 2: augmentation_rng

Tensor resized(Exec& exec, const Tensor& x, i64 height, i64 width, kernels::ResizeKind kind) {
  const kernels::ResizeDims dims{.n = x.extent(0),
                                 .h = x.extent(1),
                                 .w = x.extent(2),
                                 .c = x.extent(3),
                                 .out_h = height,
                                 .out_w = width,
                                 .kind = kind};
  kernels::require_resize(dims);
  Tensor out = Tensor::empty({dims.n, height, width, dims.c});
  kernels::resize(exec, kernels::ResizeCall{.dims = dims, .x = x.data<float>(), .y = out.data<float>()});
  return out;
}

}  // namespace

// What the caller and the preparing thread share: under `mutex` everything below it.
struct Loader::State {
  const Dataset& set;
  const Normaliser normaliser;
  const LoaderOptions options;
  const i64 height, width;
  Exec exec;  // of the preparing thread only

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Batch> ready;
  std::exception_ptr failure;
  i64 epoch = 0, serial = 0;    // serial counts start() calls: work for an older one is dropped
  i64 prepared = 0, given = 0;  // batches of this epoch
  bool running = false, stop = false;
  std::thread thread;

  State(const Dataset& s, const Normalisation& n, const LoaderOptions& o)
      : set(s),
        normaliser(n, s.channels()),
        options(o),
        height(o.height > 0 ? o.height : s.height()),
        width(o.width > 0 ? o.width : s.width()) {}

  i64 batches() const { return batches_of(set.size(), options); }

  Batch prepare(const std::vector<i64>& order, i64 of_epoch, i64 number) {
    const i64 begin = number * options.batch, n = std::min(options.batch, set.size() - begin);
    Batch out;
    out.indices.assign(order.begin() + begin, order.begin() + begin + n);
    out.images = Tensor::empty({n, set.height(), set.width(), set.channels()});
    out.labels = Tensor::empty({n}, DType::i64);
    float* x = out.images.data<float>();
    i64* t = out.labels.data<i64>();
    for (i64 index : out.indices) {
      const u8* image = set.image(index);
      if (options.augment.any())
        normaliser.augmented(image, set.height(), set.width(), options.augment,
                             kernels::augmentation_rng(options.seed, u64(of_epoch), u64(index)), x);
      else
        normaliser.plain(image, set.height(), set.width(), x);
      x += set.height() * set.width() * set.channels();
      *t++ = set.labels[size_t(index)];
    }
    if (height != set.height() || width != set.width())
      out.images = resized(exec, out.images, height, width, options.resize);
    return out;
  }

  void work() {
    std::vector<i64> current;
    i64 of_epoch = 0, of_serial = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] {
        return stop || (running && !failure && prepared < batches() && ready.size() < kAhead);
      });
      if (stop) return;
      const bool fresh = of_serial != serial;
      of_serial = serial;
      of_epoch = epoch;
      const i64 number = prepared;
      lock.unlock();
      Batch batch;
      std::exception_ptr problem;
      try {
        if (fresh) current = order_of(set.size(), options, of_epoch);
        batch = prepare(current, of_epoch, number);
      } catch (...) {
        problem = std::current_exception();
      }
      lock.lock();
      if (of_serial != serial) continue;  // a newer epoch began meanwhile
      if (problem)
        failure = problem;
      else
        ready.push_back(std::move(batch)), ++prepared;
      changed.notify_all();
    }
  }
};

i64 batches_of(i64 samples, const LoaderOptions& options) {
  const i64 whole = samples / options.batch, rest = samples % options.batch;
  return whole + (rest > 0 && (!options.drop_last || whole == 0) ? 1 : 0);
}

std::vector<i64> order_of(i64 samples, const LoaderOptions& options, i64 epoch) {
  std::vector<i64> out(static_cast<size_t>(samples));
  std::iota(out.begin(), out.end(), i64{0});
  if (!options.shuffle) return out;
  Rng rng = Rng(options.seed).derive(kOrder, u64(epoch));
  for (size_t i = out.size() - 1; i > 0; --i) std::swap(out[i], out[rng.below(u32(i + 1))]);
  return out;
}

void require_loadable(const Dataset& set, const LoaderOptions& options) {
  if (set.size() == 0) throw usage_error("loader: the set " + set.name + " is empty");
  if (options.batch < 1) throw usage_error("loader: a batch of " + std::to_string(options.batch));
}

Loader::Loader(const Dataset& set, const Normalisation& normalisation, LoaderOptions options) {
  require_loadable(set, options);
  state_ = std::make_unique<State>(set, normalisation, options);
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

i64 Loader::batches() const { return state_->batches(); }

void Loader::start(i64 epoch) {
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    s.epoch = epoch;
    ++s.serial;
    s.prepared = s.given = 0;
    s.ready.clear();
    s.failure = nullptr;
    s.running = true;
  }
  if (!s.thread.joinable()) s.thread = std::thread([&s] { s.work(); });
  s.changed.notify_all();
}

bool Loader::next(Batch& batch) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (!s.running || s.given == s.batches()) return false;
  s.changed.wait(lock, [&] { return s.failure || !s.ready.empty(); });
  if (s.ready.empty()) {
    s.running = false;
    std::rethrow_exception(s.failure);
  }
  batch = std::move(s.ready.front());
  s.ready.pop_front();
  ++s.given;
  s.changed.notify_all();
  return true;
}

Tensor network_input(const Tensor& image, const Normalisation& normalisation, i64 height, i64 width,
                     kernels::ResizeKind kind) {
  if (image.rank() != 3 || image.count() == 0)
    throw input_error("an image must be u8 [h,w,c], got " + image.shape().str());
  const Tensor packed = image.contiguous();
  Tensor out = Tensor::empty({1, packed.extent(0), packed.extent(1), packed.extent(2)});
  Normaliser(normalisation, packed.extent(2))
      .plain(packed.data<u8>(), packed.extent(0), packed.extent(1), out.data<float>());
  if (packed.extent(0) == height && packed.extent(1) == width) return out;
  Exec exec;
  return resized(exec, out, height, width, kind);
}

}  // namespace offramp::data
