#include "kernels/thread_pool.h"

#include <chrono>

namespace offramp {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

// How long a caller looks for the end of its region before it sleeps: about what waking up costs. A worker
// looks longer for the next one, because what a training step does between two is mostly shorter than a sleep
// on a virtual machine; but where others want its core, every moment spent looking brings the moment nearer
// at which it is put aside, perhaps in the middle of a chunk.
constexpr microseconds kShortSpin{30}, kLongSpin{200};
constexpr microseconds kPutAside{200};  // between two looks: a thread that runs needs two or three
constexpr std::chrono::milliseconds kWary{1000};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// True as soon as ready() holds, false when it did not within `most`. Sets put_aside where the thread did not
// run meanwhile.
template <class Ready>
bool spin_until(microseconds most, Ready&& ready, bool& put_aside) {
  Clock::time_point last = Clock::now();
  const Clock::time_point end = last + most;
  const auto look_at_clock = [&] {
    const Clock::time_point now = Clock::now();
    put_aside |= now - last > kPutAside;
    last = now;
  };
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return look_at_clock(), true;
      relax();
    }
    look_at_clock();
  } while (last < end);
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
  bool put_aside = false;  // then the worker has had time enough
  if (spin_until(kShortSpin, finished, put_aside)) return;
  std::unique_lock lock(mutex_);
  caller_sleeps_ = true;
  done_.wait(lock, finished);
  caller_sleeps_ = false;
}

void ThreadPool::serve(int worker) {
  u64 seen = 0;  // number of the last region looked at
  Clock::time_point wary_until{};
  for (;;) {
    const auto changed = [&] { return state_.load() / kRegion != seen; };
    bool put_aside = false;
    const bool found = spin_until(Clock::now() < wary_until ? kShortSpin : kLongSpin, changed, put_aside);
    if (put_aside) wary_until = Clock::now() + kWary;
    if (!found) {
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
