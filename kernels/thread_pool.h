// Worker threads of one Exec, for builds whose parallel_for does not use OpenMP. Between regions they spin
// for a while, then sleep; the caller never waits for a worker that has not begun, so a thread that the
// system has put aside holds up one chunk at most, not the region.
#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/types.h"

namespace offramp {

class ThreadPool {
 public:
  using Work = void (*)(void* context, int worker);

  explicit ThreadPool(int workers);  // the caller is worker 0, so workers - 1 threads
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // work(context, w) in the caller (w = 0) and in up to workers - 1 threads, each at most once. Returns when
  // the caller's and every begun call has returned. `work` must do everything even when no thread joins.
  void run(int workers, Work work, void* context);

 private:
  void serve(int worker);

  // Of the newest region, in one word, so that joining it is one exchange and takes no lock: its number in
  // the upper half, then whether threads may still join, then how many are inside.
  static constexpr u64 kRegion = u64{1} << 32, kOpen = u64{1} << 31, kInside = kOpen - 1;
  std::atomic<u64> state_{0};
  // Written before a region opens, when nobody is inside.
  int workers_ = 0;
  Work work_ = nullptr;
  void* context_ = nullptr;

  std::vector<std::thread> threads_;
  // For those that no longer spin.
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> caller_sleeps_{false}, quit_{false};
};

}  // namespace offramp
