// A piece of work that every row of one kernel table can do: operands, cost, reference and the rows, without
// their types. make_work builds it from a table, a way to fill the call struct and the family's door.
#pragma once
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cost.h"
#include "kernels/exec.h"

namespace offramp::nas::microbench {

template <class T>
struct CacheLineAllocator {
  using value_type = T;
  CacheLineAllocator() = default;
  template <class U>
  CacheLineAllocator(const CacheLineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{64}); }
  friend bool operator==(const CacheLineAllocator&, const CacheLineAllocator&) { return true; }
};
template <class T>
using Array = std::vector<T, CacheLineAllocator<T>>;

// Operands of one call in one scalar. Outputs that a call updates in place begin as filled as inputs.
template <class T>
struct Arrays {
  std::vector<Array<T>> in, out;
  Array<T> packed;            // weights as the row reads them, empty where the family packs nothing
  std::size_t packed_at = 0;  // of the copy to read: packed may hold several
  const T* packed_or_null() const { return packed.empty() ? nullptr : packed.data() + packed_at; }
  const T* x(std::size_t i) const { return in[i].data(); }
  // Kernels write through their call struct.
  T* y(std::size_t i) const { return const_cast<T*>(out[i].data()); }
};

enum class Fill { poison, integers, reals, positive };  // NaN; -2..2; [-2,2); [0.5,1.5)
struct Operand {
  i64 count;
  Fill fill = Fill::poison;
};

struct WorkRow {
  std::string_view name;
  Target target;
  std::string shadowed_by;  // not empty: the row its own target takes instead, so this one never runs
  std::function<void(Exec&, const Arrays<float>&)> run;
  std::function<void(Arrays<float>&)> pack;  // fills `packed`; null: nothing to pack
};

struct Work {
  std::string what;  // the problem in text form, with the gradient asked for where there are several
  Cost cost;
  i64 valid_macs = 0;    // of cost.macs, those on values inside the image; 0: all
  i64 weight_bytes = 0;  // of cost.bytes_read, in calls of inference
  double tolerance;      // of |got - want| relative to 1 + the largest |want| of an output; 0: bit for bit
  std::vector<Operand> in, out;
  std::function<void(Exec&, const Arrays<double>&)> reference;
  std::vector<WorkRow> rows;  // those that accept the problem
};

// `key` is what the rows' accepts() takes, make_call(arrays) the filled call struct for either scalar, door
// the public function. Rows that can be run themselves are; the others through the door on their target.
template <class Table, class Key, class MakeCall, class Door, class Name>
Work make_work(std::string what, const Cost& cost, double tolerance, std::vector<Operand> in,
               std::vector<Operand> out, const Table& table, const Key& key, MakeCall make_call, Door door,
               Name name) {
  Work work{.what = std::move(what),
            .cost = cost,
            .valid_macs = 0,
            .weight_bytes = 0,
            .tolerance = tolerance,
            .in = std::move(in),
            .out = std::move(out),
            .reference = [=](Exec& exec, const Arrays<double>& a) { door(exec, make_call(a)); },
            .rows = {}};
  const auto accepts = [&](const auto& row) {
    if constexpr (requires { row.accepts(key); })
      return row.accepts(key);
    else
      return true;
  };
  for (const auto& row : table) {
    if (!accepts(row)) continue;
    WorkRow made{.name = row.*name, .target = row.target, .shadowed_by = {}, .run = {}, .pack = {}};
    if constexpr (requires(Exec & exec, const Arrays<float>& a) { row.run(exec, make_call(a)); }) {
      made.run = [=, run = row.run](Exec& exec, const Arrays<float>& a) { run(exec, make_call(a)); };
    } else {
      for (const auto& other : table)
        if (other.target <= row.target && accepts(other)) {
          if (&other != &row) made.shadowed_by = other.*name;
          break;
        }
      made.run = [=](Exec& exec, const Arrays<float>& a) { door(exec, make_call(a)); };
    }
    work.rows.push_back(std::move(made));
  }
  return work;
}

}  // namespace offramp::nas::microbench
