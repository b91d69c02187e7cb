// Runs the threads of one block after another, as fibers, and what they do together.
#ifdef OFFRAMP_CUDA_EMULATED
#include <link.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/cuda/emulate/fibers.h"
#include "kernels/cuda/emulate/memory.h"
#include "kernels/cuda/language.h"
#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp::cuda {
namespace emulate {

uint3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t kStack = 128 * 1024;
constexpr int kMostThreads = 1024;

enum class State : u8 { ready, at_block_barrier, at_warp_barrier, done };

struct Copy {
  void* to;
  const void* from;  // null: zeros
  int bytes;
};

struct Fiber {
  Context context;
  State state = State::ready;
  unsigned mask = 0;  // of the warp barrier
  std::vector<Copy> copies;
  std::vector<std::size_t> groups;  // ends of the committed groups in `copies`
};

struct Warp {
  alignas(64) std::byte slots[32][64];
};

struct Machine {
  std::vector<std::byte> stacks = std::vector<std::byte>(kStack * kMostThreads);
  std::vector<Fiber> fibers = std::vector<Fiber>(kMostThreads);
  std::vector<Warp> warps = std::vector<Warp>(kMostThreads / 32);
  std::vector<std::byte> shared;
  Context scheduler;
  int current = 0, threads = 0;
  const std::function<void()>* body = nullptr;
  std::exception_ptr failure;
  u64 launches = 0;
};
Machine& machine() {
  static Machine& m = *new Machine;
  return m;
}

void finish(Fiber& f, std::size_t groups_left) {
  if (f.groups.size() <= groups_left) return;
  const std::size_t done = f.groups[f.groups.size() - groups_left - 1];
  for (std::size_t i = 0; i < done; ++i) {
    const Copy& c = f.copies[i];
    if (c.from)
      std::memcpy(c.to, c.from, std::size_t(c.bytes));
    else
      std::memset(c.to, 0, std::size_t(c.bytes));
  }
  f.copies.erase(f.copies.begin(), f.copies.begin() + std::ptrdiff_t(done));
  f.groups.erase(f.groups.begin(), f.groups.end() - std::ptrdiff_t(groups_left));
  for (std::size_t& end : f.groups) end -= done;
}

void wait_as(State state) {
  Machine& m = machine();
  Fiber& f = m.fibers[std::size_t(m.current)];
  f.state = state;
  switch_to(f.context, m.scheduler);  // the scheduler sets thread_index anew before it comes back here
}

void entry() {
  Machine& m = machine();
  Fiber& f = m.fibers[std::size_t(m.current)];
  try {
    (*m.body)();
  } catch (...) {
    m.failure = std::current_exception();
  }
  f.groups.push_back(f.copies.size());
  finish(f, 0);
  wait_as(State::done);
}

// Lets those go on whose companions have all arrived; false when nobody could.
bool release(Machine& m) {
  bool any = false;
  for (int first = 0; first < m.threads; first += 32) {
    const int end = std::min(first + 32, m.threads);
    for (int t = first; t < end; ++t) {
      const Fiber& f = m.fibers[std::size_t(t)];
      if (f.state != State::at_warp_barrier) continue;
      const unsigned mask = f.mask;
      bool all = true;
      for (int o = first; o < end; ++o)
        if (mask >> (o - first) & 1) {
          const Fiber& other = m.fibers[std::size_t(o)];
          all = all &&
                (other.state == State::done || (other.state == State::at_warp_barrier && other.mask == mask));
        }
      if (!all) continue;
      for (int o = first; o < end; ++o)
        if (mask >> (o - first) & 1 && m.fibers[std::size_t(o)].state == State::at_warp_barrier)
          m.fibers[std::size_t(o)].state = State::ready;
      any = true;
    }
  }
  if (any) return true;
  for (int t = 0; t < m.threads; ++t) {
    const State s = m.fibers[std::size_t(t)].state;
    if (s != State::done && s != State::at_block_barrier) return false;
    any = any || s == State::at_block_barrier;
  }
  for (int t = 0; t < m.threads; ++t)
    if (m.fibers[std::size_t(t)].state == State::at_block_barrier)
      m.fibers[std::size_t(t)].state = State::ready;
  return any;
}

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

void run_block(Machine& m, const std::vector<int>& order, std::span<std::byte> declared) {
  std::fill(m.shared.begin(), m.shared.end(), std::byte{0xff});  // NaN
  std::fill(declared.begin(), declared.end(), std::byte{0xff});
  for (int t = 0; t < m.threads; ++t) {
    Fiber& f = m.fibers[std::size_t(t)];
    f.context = make_context(m.stacks.data() + std::size_t(t) * kStack, kStack, entry);
    f.state = State::ready;
    f.copies.clear();
    f.groups.clear();
  }
  for (;;) {
    bool alive = false;
    for (const int t : order) {
      Fiber& f = m.fibers[std::size_t(t)];
      alive = alive || f.state != State::done;
      if (f.state != State::ready) continue;
      m.current = t;
      thread_index = {unsigned(t), 0, 0};
      switch_to(m.scheduler, f.context);
      if (m.failure) std::rethrow_exception(std::exchange(m.failure, nullptr));
    }
    if (!alive) return;
    const bool ready = std::any_of(m.fibers.begin(), m.fibers.begin() + m.threads,
                                   [](const Fiber& f) { return f.state == State::ready; });
    if (!ready && !release(m) &&
        std::any_of(m.fibers.begin(), m.fibers.begin() + m.threads,
                    [](const Fiber& f) { return f.state != State::done; }))
      throw Error("threads of a block wait for each other in different places");
  }
}

// What a card of compute capability 8.0 or later refuses.
void require_possible(const Launch& l) {
  constexpr i64 kMostX = (i64{1} << 31) - 1, kMostYZ = 65535, kMostShared = 227 * 1024;
  if (l.block > kMostThreads || l.block < 1)
    throw Error(std::string("cuda: ") + l.op + ": block of " + std::to_string(l.block) + " threads");
  if (l.shared > kMostShared)
    throw Error(std::string("cuda: ") + l.op + ": " + std::to_string(l.shared) + " bytes of shared memory");
  if (l.grid > kMostX || l.grid_y > kMostYZ || l.grid_z > kMostYZ)
    throw Error(std::string("cuda: ") + l.op + ": grid of " + std::to_string(l.grid) + " x " +
                std::to_string(l.grid_y) + " x " + std::to_string(l.grid_z) + " blocks");
}

// 0 .. count - 1 in an order that the seed decides.
std::vector<int> shuffled(i64 count, u64 seed, u64 stream) {
  std::vector<int> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Rng rng(seed, stream);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(u32(i))]);
  return order;
}

void run_now(const Launch& l, const std::function<void()>& thread) {
  static std::mutex one_launch;
  const std::lock_guard lock(one_launch);
  Machine& m = machine();
  m.threads = l.block;
  m.body = &thread;
  m.shared.assign(std::size_t(l.shared) + 16, std::byte{});
  const u64 number = m.launches++;
  const std::vector<int> threads = shuffled(l.block, 1, number),
                         blocks = shuffled(l.grid * l.grid_y * l.grid_z, 2, number);
  block_size = {unsigned(l.block), 1, 1};
  grid_size = {unsigned(l.grid), unsigned(l.grid_y), unsigned(l.grid_z)};
  const std::span<std::byte> declared = declared_shared();
  const MemoryInUse in_use;
  try {
    for (const int block : blocks) {
      const unsigned row = unsigned(block) / grid_size.x;
      block_index = {unsigned(block) % grid_size.x, row % grid_size.y, row / grid_size.y};
      run_block(m, threads, declared);
    }
  } catch (const std::exception& e) {
    throw Error(std::string("cuda: ") + l.op + ": " + e.what());
  }
}

Warp& my_warp() { return machine().warps[std::size_t(machine().current / 32)]; }

}  // namespace

int lane() { return machine().current % 32; }
std::byte* dynamic_shared_memory() {
  auto* p = machine().shared.data();
  return p + (16 - reinterpret_cast<std::uintptr_t>(p) % 16) % 16;
}

void block_barrier() { wait_as(State::at_block_barrier); }
void warp_barrier(unsigned mask) {
  machine().fibers[std::size_t(machine().current)].mask = mask;
  wait_as(State::at_warp_barrier);
}

void exchange(unsigned mask, const void* mine, void* of_lane_from, int from, int bytes) {
  Warp& warp = my_warp();
  std::memcpy(warp.slots[lane()], mine, std::size_t(bytes));
  warp_barrier(mask);
  std::memcpy(of_lane_from, warp.slots[from & 31], std::size_t(bytes));
  warp_barrier(mask);
}

const std::byte* gather(const void* mine, int bytes) {
  Warp& warp = my_warp();
  std::memcpy(warp.slots[lane()], mine, std::size_t(bytes));
  warp_barrier(0xffffffffu);
  return warp.slots[0];
}

void misaligned(const void* p, int bytes) {
  throw Error("an access of " + std::to_string(bytes) + " bytes at an address that is " +
              std::to_string(reinterpret_cast<std::uintptr_t>(p) % std::uintptr_t(bytes)) +
              " beyond a multiple");
}

void run(Gpu& gpu, const Launch& launch, std::function<void()> thread) {
  require_possible(launch);
  submit(gpu.stream(), [launch, thread = std::move(thread)] { run_now(launch, thread); });
}

}  // namespace emulate

namespace {

// What every lane gave, as arrays of T.
template <class T>
const T& of_lane(const std::byte* all, int lane) {
  return *reinterpret_cast<const T*>(all + lane * 64);
}
struct Operands {
  u32 a[4], b[2];
};
float bf16_part(u32 reg, int half) { return std::bit_cast<float>(half ? reg & 0xffff0000u : reg << 16); }

}  // namespace

void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const std::byte* all = emulate::gather(&mine, sizeof mine);
  const int lane = emulate::lane(), g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, col = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int pair = k % 8 / 2, half = k % 2, upper = k / 8;
      const u32 ra = of_lane<Operands>(all, row % 8 * 4 + pair).a[row / 8 + 2 * upper];
      const u32 rb = of_lane<Operands>(all, col * 4 + pair).b[upper];
      d[i] += bf16_part(ra, half) * bf16_part(rb, half);
    }
  }
  __syncwarp();
}

void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  const std::byte* all = emulate::gather(&mine, sizeof mine);
  const int lane = emulate::lane(), g = lane / 4, t = lane % 4;
  const auto value = [](u32 v) { return std::bit_cast<float>(v & 0xffffe000u); };
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8, col = 2 * t + i % 2;
    for (int k = 0; k < 8; ++k)
      d[i] += value(of_lane<Operands>(all, row % 8 * 4 + k % 4).a[row / 8 + k / 4 * 2]) *
              value(of_lane<Operands>(all, col * 4 + k % 4).b[k / 4]);
  }
  __syncwarp();
}

namespace {

// Lane i gives row i % 8 of matrix i / 8.
template <int kMatrices, bool kTransposed>
void load_matrices(u32* r, const void* row) {
  const int lanes = 8 * kMatrices;  // whose addresses count
  if (emulate::lane() < lanes) check_aligned(row, 16);
  const std::byte* all = emulate::gather(&row, sizeof row);
  const int lane = emulate::lane();
  const auto at = [&](int matrix, int i, int j) {
    return u32(static_cast<const uint16_t*>(of_lane<const void*>(all, matrix * 8 + i))[j]);
  };
  for (int m = 0; m < kMatrices; ++m) {
    const int i = lane / 4, j = lane % 4 * 2;
    r[m] = kTransposed ? at(m, j, i) | at(m, j + 1, i) << 16 : at(m, i, j) | at(m, i, j + 1) << 16;
  }
  __syncwarp();
}

emulate::Fiber& my_fiber() { return emulate::machine().fibers[std::size_t(emulate::machine().current)]; }

}  // namespace

void ldmatrix_x4(u32 (&r)[4], const void* row) { load_matrices<4, false>(r, row); }
void ldmatrix_x4_transposed(u32 (&r)[4], const void* row) { load_matrices<4, true>(r, row); }
void ldmatrix_x2(u32 (&r)[2], const void* row) { load_matrices<2, false>(r, row); }
void ldmatrix_x2_transposed(u32 (&r)[2], const void* row) { load_matrices<2, true>(r, row); }

void copy_async16(void* to, const void* from, bool valid) {
  check_aligned(to, 16);
  if (valid) check_aligned(from, 16);
  my_fiber().copies.push_back({to, valid ? from : nullptr, 16});
}
void copy_async4(void* to, const void* from, bool valid) {
  check_aligned(to, 4);
  if (valid) check_aligned(from, 4);
  my_fiber().copies.push_back({to, valid ? from : nullptr, 4});
}
void copy_async_commit() { my_fiber().groups.push_back(my_fiber().copies.size()); }
void finish_copies(int groups_left) { emulate::finish(my_fiber(), std::size_t(groups_left)); }

}  // namespace offramp::cuda
#endif
