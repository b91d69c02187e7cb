#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/block.h"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "kernels/cuda/language.h"
#include "kernels/error.h"

namespace offramp::cuda::emulate {

uint3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t kStack = 128 * 1024;

Block* of_now = nullptr;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;

// Where the arrays lie that kernels declare shared: the thread-local data of this binary that starts as
// zeros. There is no other, the house has no thread-local state.
std::span<std::byte> declared_shared() {
  std::span<std::byte> found;
  dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* to) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& part = object->dlpi_phdr[i];
          if (part.p_type != PT_TLS || !object->dlpi_tls_data) continue;
          *static_cast<std::span<std::byte>*>(to) = {
              static_cast<std::byte*>(object->dlpi_tls_data) + part.p_filesz, part.p_memsz - part.p_filesz};
        }
        return 1;  // the first object is the binary
      },
      &found);
  return found;
}

}  // namespace

Block& running() { return *of_now; }

void Fiber::finish_copies(std::size_t groups_left) {
  if (groups.size() <= groups_left) return;
  const std::size_t done = groups[groups.size() - groups_left - 1];
  for (std::size_t i = 0; i < done; ++i) {
    const Copy& c = copies[i];
    if (c.from)
      std::memcpy(c.to, c.from, std::size_t(c.bytes));
    else
      std::memset(c.to, 0, std::size_t(c.bytes));
  }
  copies.erase(copies.begin(), copies.begin() + std::ptrdiff_t(done));
  groups.erase(groups.begin(), groups.end() - std::ptrdiff_t(groups_left));
  for (std::size_t& end : groups) end -= done;
}

void Block::Unmap::operator()(std::byte* stacks) const { munmap(stacks, bytes); }

Block::Block(int threads) : fibers_(std::size_t(threads)), warps_(std::size_t(threads + 31) / 32) {
  const std::size_t bytes = kStack * std::size_t(threads);
  void* const stacks =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) throw Error("no memory for the threads of a block");
  stacks_ = {static_cast<std::byte*>(stacks), Unmap{bytes}};
}

void Block::begin(i64 index, const Launch& launch) {
  index_ = index;
  shared_.assign(std::size_t(launch.shared) + 16, std::byte{0xff});  // NaN
  declared_.assign(declared_shared().size(), std::byte{0xff});
  for (std::size_t t = 0; t < fibers_.size(); ++t) {
    Fiber& f = fibers_[t];
    f.context = make_context(stacks_.get() + t * kStack, kStack, entry);
    f.state = State::ready;
    f.copies.clear();
    f.groups.clear();
  }
}

std::byte* Block::shared() {
  auto* p = shared_.data();
  return p + (16 - reinterpret_cast<std::uintptr_t>(p) % 16) % 16;
}

void Block::wait_as(State state) {
  Fiber& f = fiber();
  f.state = state;
  switch_to(f.context, scheduler_);  // the scheduler sets thread_index anew before it comes back here
}

void Block::entry() {
  Block& block = running();
  Fiber& f = block.fiber();
  try {
    (*body)();
  } catch (...) {
    failure = std::current_exception();
  }
  f.groups.push_back(f.copies.size());
  f.finish_copies(0);
  block.wait_as(State::done);
}

// Lets those go on whose companions have all arrived; false when nobody could.
bool Block::release() {
  const int threads = int(fibers_.size());
  bool any = false;
  for (int first = 0; first < threads; first += 32) {
    const int end = std::min(first + 32, threads);
    for (int t = first; t < end; ++t) {
      const Fiber& f = fibers_[std::size_t(t)];
      if (f.state != State::at_warp_barrier) continue;
      const unsigned mask = f.mask;
      bool all = true;
      for (int o = first; o < end; ++o)
        if (mask >> (o - first) & 1) {
          const Fiber& other = fibers_[std::size_t(o)];
          all = all &&
                (other.state == State::done || (other.state == State::at_warp_barrier && other.mask == mask));
        }
      if (!all) continue;
      for (int o = first; o < end; ++o)
        if (mask >> (o - first) & 1 && fibers_[std::size_t(o)].state == State::at_warp_barrier)
          fibers_[std::size_t(o)].state = State::ready;
      any = true;
    }
  }
  if (any) return true;
  for (const Fiber& f : fibers_) {
    if (f.state != State::done && f.state != State::at_block_barrier) return false;
    any = any || f.state == State::at_block_barrier;
  }
  for (Fiber& f : fibers_)
    if (f.state == State::at_block_barrier) f.state = State::ready;
  return any;
}

bool Block::advance(const std::vector<int>& order, const std::function<void()>& thread) {
  static const std::span<std::byte> declared = declared_shared();
  std::copy(declared_.begin(), declared_.end(), declared.begin());
  of_now = this, body = &thread;
  const u64 row = u64(index_) / grid_size.x;
  block_index = {unsigned(u64(index_) % grid_size.x), unsigned(row % grid_size.y),
                 unsigned(row / grid_size.y)};
  const auto all = [&](auto&& is) { return std::all_of(fibers_.begin(), fibers_.end(), is); };
  for (;;) {
    for (const int t : order) {
      Fiber& f = fibers_[std::size_t(t)];
      if (f.state != State::ready) continue;
      current_ = t;
      thread_index = {unsigned(t), 0, 0};
      switch_to(scheduler_, f.context);
      if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    }
    if (all([](const Fiber& f) { return f.state == State::done; })) return true;
    if (all([](const Fiber& f) { return f.state == State::at_grid_barrier; })) break;
    if (all([](const Fiber& f) { return f.state != State::ready; }) && !release())
      throw Error("threads of a block wait for each other in different places");
  }
  std::copy(declared.begin(), declared.end(), declared_.begin());
  return false;
}

void Block::go_on() {
  for (Fiber& f : fibers_) f.state = State::ready;
}

int lane() { return running().lane(); }
std::byte* dynamic_shared_memory() { return running().shared(); }

void block_barrier() { running().wait_as(State::at_block_barrier); }
void grid_barrier() { running().wait_as(State::at_grid_barrier); }
void warp_barrier(unsigned mask) {
  running().fiber().mask = mask;
  running().wait_as(State::at_warp_barrier);
}

void exchange(unsigned mask, const void* mine, void* of_lane_from, int from, int bytes) {
  Warp& warp = running().warp();
  std::memcpy(warp.slots[lane()], mine, std::size_t(bytes));
  warp_barrier(mask);
  std::memcpy(of_lane_from, warp.slots[from & 31], std::size_t(bytes));
  warp_barrier(mask);
}

const std::byte* gather(const void* mine, int bytes) {
  Warp& warp = running().warp();
  std::memcpy(warp.slots[lane()], mine, std::size_t(bytes));
  warp_barrier(0xffffffffu);
  return warp.slots[0];
}

void misaligned(const void* p, int bytes) {
  throw Error("an access of " + std::to_string(bytes) + " bytes at an address that is " +
              std::to_string(reinterpret_cast<std::uintptr_t>(p) % std::uintptr_t(bytes)) +
              " beyond a multiple");
}

}  // namespace offramp::cuda::emulate
#endif
