#include "kernels/thread_pool.h"

#include <chrono>

namespace offramp {
namespace {

// A few times what waking a sleeping thread costs, on a virtual machine some tens of microseconds: what one
// thread does alone between the regions of a training step is mostly shorter.
constexpr auto kSpin = std::chrono::microseconds(200);

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
  quit_ = true;
  state_.fetch_add(kRegion);
  { const std::lock_guard lock(mutex_); }
  wake_.notify_all();
  for (std::thread& t : threads_) t.join();
}

// Who goes to sleep says so first and looks again; who changes what is waited for looks for sleepers last.
// Both in one order for all threads (seq_cst), so one of the two sees the other.
void ThreadPool::run(int workers, Work work, void* context) {
  work_ = work;
  context_ = context;
  workers_ = workers;
  state_.store((state_.load() / kRegion + 1) * kRegion | kOpen);
  if (sleeping_.load() > 0) {
    { const std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }
  work(context, 0);
  state_.fetch_and(~kOpen);  // nobody joins from here on
  const auto finished = [&] { return (state_.load() & kInside) == 0; };
  if (spin_until(finished)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_ = true;
  done_.wait(lock, finished);
  caller_sleeps_ = false;
}

void ThreadPool::serve(int worker) {
  u64 seen = 0;  // number of the last region looked at
  for (;;) {
    const auto changed = [&] { return state_.load() / kRegion != seen; };
    if (!spin_until(changed)) {
      std::unique_lock lock(mutex_);
      ++sleeping_;
      wake_.wait(lock, changed);
      --sleeping_;
    }
    if (quit_) return;
    u64 state = state_.load();
    seen = state / kRegion;
    // Joined only while it is the same region and still open, so what is read of it below is its own.
    do {
      if (!(state & kOpen) || state / kRegion != seen) break;
    } while (!state_.compare_exchange_weak(state, state + 1));
    if (!(state & kOpen) || state / kRegion != seen) continue;
    if (worker < workers_) work_(context_, worker);
    const bool last = (state_.fetch_sub(1) & kInside) == 1;
    if (!last || !caller_sleeps_) continue;
    { const std::lock_guard lock(mutex_); }
    done_.notify_one();
  }
}

}  // namespace offramp
