// runtime.h played by the host. Every block of device memory ends (up to alignment) before a page that nobody
// may touch, and outside launches and copies none of it can be touched: overruns and host accesses fault at
// once.
#ifdef OFFRAMP_CUDA_EMULATED
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/cuda/emulate/memory.h"
#include "kernels/error.h"

namespace offramp::cuda {
namespace {

using Work = std::function<void()>;

constexpr i64 kMemory = i64{8} << 30;

struct Blocks {
  std::mutex mutex;
  std::map<std::byte*, std::pair<std::byte*, std::size_t>> pages;  // block -> its accessible pages
  i64 most = kMemory, bytes = 0, sent = 0, waits = 0;
  int users = 0;

  bool holds(const void* p) const {
    const auto* const address = static_cast<const std::byte*>(p);
    const auto after = pages.upper_bound(const_cast<std::byte*>(address));
    if (after == pages.begin()) return false;
    const auto [first, usable] = std::prev(after)->second;
    return address < first + usable;
  }
};
Blocks& blocks() {
  static Blocks& b = *new Blocks;
  return b;
}

// A stream that waits for a capturing one captures too. Its work runs when the stream where the capture began
// waits for it: as late as it may, so that whoever counts on its result without waiting is found out.
struct StreamState {
  bool capturing = false, began_it = false;
  std::vector<Work> captured;
};
struct EventState {
  std::chrono::steady_clock::time_point time;
  StreamState* of = nullptr;
};
StreamState& state(Stream s) { return *reinterpret_cast<StreamState*>(s); }

std::size_t page() { return std::size_t(sysconf(_SC_PAGESIZE)); }

void protect(Blocks& b, int protection) {
  for (const auto& [data, pages] : b.pages) mprotect(pages.first, pages.second, protection);
}

}  // namespace

namespace emulate {

std::function<void(const Launch&)> before_launch;

MemoryInUse::MemoryInUse() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  if (b.users++ == 0) protect(b, PROT_READ | PROT_WRITE);
}
MemoryInUse::~MemoryInUse() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  if (--b.users == 0) protect(b, PROT_NONE);
}

MemoryCap::MemoryCap(i64 bytes) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  b.most = b.bytes + bytes;
}
MemoryCap::~MemoryCap() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  b.most = kMemory;
}

i64 bytes_sent() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  return b.sent;
}

i64 waits() {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  return b.waits;
}

void submit(Stream stream, Work work) {
  StreamState& s = state(stream);
  if (s.capturing)
    s.captured.push_back(std::move(work));
  else
    work();
}

}  // namespace emulate

std::string runtime_version() { return "emulated"; }
int device_count() { return 1; }
Properties properties() {
  return {.name = "emulated on the host",
          .multiprocessors = 4,
          .major = 9,
          .minor = 0,
          .memory = kMemory,
          .shared_per_block = 227 * 1024,
          .l2 = i64{1} << 20};
}

bool fenced() { return true; }

i64 free_memory() noexcept {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  return b.most - b.bytes;
}

std::byte* allocate(i64 bytes) {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  if (bytes > b.most - b.bytes) return nullptr;
  const std::size_t usable = (std::size_t(bytes < 1 ? 1 : bytes) + page() - 1) / page() * page();
  void* const area =
      mmap(nullptr, usable + page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return nullptr;
  auto* const first = static_cast<std::byte*>(area);
  mprotect(first, usable, PROT_READ | PROT_WRITE);
  std::memset(first, 0xff, usable);  // NaN: nobody may count on zeros
  if (b.users == 0) mprotect(first, usable, PROT_NONE);
  std::byte* const data = first + (usable - std::size_t(bytes)) / 16 * 16;
  b.pages[data] = {first, usable};
  b.bytes += i64(first + usable - data);
  return data;
}

void release(std::byte* data) noexcept {
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  const auto found = b.pages.find(data);
  if (found == b.pages.end()) std::abort();
  const auto [first, usable] = found->second;
  b.bytes -= i64(first + usable - data);
  munmap(first, usable + page());
  b.pages.erase(found);
}

std::byte* allocate_host(i64 bytes) { return static_cast<std::byte*>(std::malloc(std::size_t(bytes))); }
void release_host(std::byte* data) noexcept { std::free(data); }

Stream create_stream() { return reinterpret_cast<Stream>(new StreamState); }
void destroy_stream(Stream stream) noexcept { delete &state(stream); }

void copy(Stream stream, void* to, const void* from, i64 bytes) {
  emulate::submit(stream, [=] {
    const emulate::MemoryInUse in_use;
    std::memcpy(to, from, std::size_t(bytes));
    Blocks& b = blocks();
    const std::lock_guard lock(b.mutex);
    if (b.holds(to) && !b.holds(from)) b.sent += bytes;
  });
}
void fill_bytes(Stream stream, void* to, int value, i64 bytes) {
  emulate::submit(stream, [=] {
    const emulate::MemoryInUse in_use;
    std::memset(to, value, std::size_t(bytes));
  });
}
void synchronize(Stream stream) {
  if (state(stream).capturing) throw Error("cuda: a wait for the device inside a capture");
  Blocks& b = blocks();
  const std::lock_guard lock(b.mutex);
  ++b.waits;
}
void wait(Stream stream, Event event) {
  StreamState &later = state(stream), *const first = reinterpret_cast<EventState*>(event)->of;
  if (!first || !first->capturing || first == &later) return;
  if (!later.began_it) {
    later.capturing = true;
    return;
  }
  first->capturing = false;
  for (Work& work : std::exchange(first->captured, {})) later.captured.push_back(std::move(work));
}

Event create_event(bool) { return reinterpret_cast<Event>(new EventState); }
void destroy_event(Event event) noexcept { delete reinterpret_cast<EventState*>(event); }
void record(Event event, Stream stream) {
  *reinterpret_cast<EventState*>(event) = {std::chrono::steady_clock::now(), &state(stream)};
}
void record_captured(Event event, Stream stream) {
  if (!state(stream).capturing) throw Error("cuda: a captured event outside a capture");
  emulate::submit(stream, [event] {
    *reinterpret_cast<EventState*>(event) = {std::chrono::steady_clock::now(), nullptr};
  });
}
float milliseconds(Event begin, Event end) {
  return std::chrono::duration<float, std::milli>(reinterpret_cast<EventState*>(end)->time -
                                                  reinterpret_cast<EventState*>(begin)->time)
      .count();
}

void begin_capture(Stream stream) {
  if (state(stream).capturing) throw Error("cuda: a capture inside a capture");
  state(stream).capturing = state(stream).began_it = true;
}
GraphExec end_capture(Stream stream) {
  state(stream).capturing = state(stream).began_it = false;
  return reinterpret_cast<GraphExec>(new std::vector<Work>(std::exchange(state(stream).captured, {})));
}
void launch_graph(GraphExec graph, Stream) {
  for (const Work& work : *reinterpret_cast<std::vector<Work>*>(graph)) work();
}
i64 graph_nodes(GraphExec graph) { return i64(reinterpret_cast<std::vector<Work>*>(graph)->size()); }
void destroy_graph(GraphExec graph) noexcept { delete reinterpret_cast<std::vector<Work>*>(graph); }

}  // namespace offramp::cuda
#endif
