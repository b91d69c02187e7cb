// Worker threads of one Exec, for builds whose parallel_for does not use OpenMP. Between regions they spin
// for a few microseconds, then sleep; the caller never waits for a worker that has not begun, so a thread
// that the system has put aside holds up one chunk at most, not the region.
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

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<u64> region_{0};  // number of the newest region; spinning workers watch it
  std::atomic<int> active_{0};  // threads inside the open region
  // Guarded by mutex_:
  bool open_ = false, quit_ = false;
  int workers_ = 0, sleeping_ = 0;
  Work work_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace offramp
