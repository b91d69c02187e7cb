// What the card computes: noted by every door, told by errors.
#pragma once
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

#include "kernels/fields.h"
#include "kernels/recorder.h"

namespace offramp::cuda {

class Problem {
 public:
  struct Field {
    const char* name;
    i64 value;
  };

  // Names must stay: nothing is made into text before somebody asks.
  void set(std::string_view row, std::initializer_list<Field> fields) {
    row_ = row, count_ = 0;
    for (const Field& f : fields) add(f);
  }
  template <class Dims>
  void set(std::string_view row, Dims dims) {
    row_ = row, count_ = 0;
    kernels::fields(dims, [this](const char* name, auto value) { add({name, i64(value)}); });
  }

  std::string_view row() const { return row_; }
  std::string dims() const;  // "n=2 h=5 w=5"
  std::string text() const;  // the same behind the row; empty before the first

 private:
  void add(const Field& f) {
    if (count_ < fields_.size()) fields_[count_++] = f;
  }
  std::string_view row_;
  std::array<Field, 11> fields_;
  std::size_t count_ = 0;
};

// The last one. There is one card in a process, and one thread that uses it.
Problem& problem();

// offramp::note of a door on the card: with the row's problem, by its dims or by {name, value} each.
template <class Dims>
bool note(Exec& exec, std::string_view row, const Dims& dims, const Cost& cost) {
  problem().set(row, dims);
  return offramp::note(exec, row, cost);
}
inline bool note(Exec& exec, std::string_view row, std::initializer_list<Problem::Field> fields,
                 const Cost& cost) {
  problem().set(row, fields);
  return offramp::note(exec, row, cost);
}

}  // namespace offramp::cuda
