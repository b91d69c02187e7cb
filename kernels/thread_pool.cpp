#include "kernels/thread_pool.h"

#include <chrono>

namespace offramp {
namespace {

// About what waking a sleeping thread costs: spinning longer cannot pay, spinning shorter may.
constexpr auto kSpin = std::chrono::microseconds(30);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// True as soon as ready() holds, false when it did not within kSpin.
template <class Ready>
bool spin_until(Ready&& ready) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

}  // namespace

ThreadPool::ThreadPool(int workers) {
  threads_.reserve(size_t(workers > 1 ? workers - 1 : 0));
  for (int w = 1; w < workers; ++w) threads_.emplace_back([this, w] { serve(w); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    region_.fetch_add(1);
  }
  wake_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void ThreadPool::run(int workers, Work work, void* context) {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    work_ = work;
    context_ = context;
    workers_ = workers;
    open_ = true;
    wake = sleeping_ > 0;
    region_.fetch_add(1, std::memory_order_release);
  }
  if (wake) wake_.notify_all();
  work(context, 0);
  {
    const std::lock_guard lock(mutex_);
    open_ = false;  // nobody joins from here on
  }
  const auto finished = [&] { return active_.load(std::memory_order_acquire) == 0; };
  if (spin_until(finished)) return;
  std::unique_lock lock(mutex_);
  done_.wait(lock, finished);
}

void ThreadPool::serve(int worker) {
  u64 seen = 0;
  for (;;) {
    const auto changed = [&] { return region_.load(std::memory_order_acquire) != seen; };
    spin_until(changed);
    std::unique_lock lock(mutex_);
    ++sleeping_;
    wake_.wait(lock, changed);
    --sleeping_;
    seen = region_.load(std::memory_order_acquire);
    if (quit_) return;
    if (!open_ || worker >= workers_) continue;
    active_.fetch_add(1, std::memory_order_relaxed);
    const Work work = work_;
    void* context = context_;
    lock.unlock();
    work(context, worker);
    lock.lock();
    if (active_.fetch_sub(1, std::memory_order_release) == 1) done_.notify_one();
  }
}

}  // namespace offramp
