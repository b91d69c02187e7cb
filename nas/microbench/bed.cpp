#include "nas/microbench/bed.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/rng.h"

namespace offramp::nas::microbench {
namespace {

template <class T>
void fill(Array<T>& out, const Operand& operand, Rng rng) {
  out.resize(std::size_t(operand.count));
  for (T& v : out) switch (operand.fill) {
      case Fill::poison:
        v = std::nanf("");
        break;
      case Fill::integers:
        v = T(i64(rng.below(5)) - 2);
        break;
      case Fill::reals:
        v = T(rng.uniform(-2, 2));
        break;
      case Fill::positive:
        v = T(rng.uniform(0.5f, 1.5f));
        break;
    }
}

template <class T>
Arrays<T> filled(const Work& work) {
  const Rng rng(1);
  Arrays<T> arrays;
  for (std::size_t i = 0; i < work.in.size(); ++i) fill(arrays.in.emplace_back(), work.in[i], rng.derive(i));
  for (std::size_t i = 0; i < work.out.size(); ++i)
    fill(arrays.out.emplace_back(), work.out[i], rng.derive(100 + i));
  return arrays;
}

}  // namespace

void Bed::set(std::shared_ptr<const Work> work) {
  if (work == work_) return;
  *this = Bed(cold_bytes_);
  work_ = std::move(work);
  arrays_ = filled<float>(*work_);
}

void Bed::prepare(const WorkRow& row) {
  arrays_.packed.clear();
  arrays_.packed_at = 0;
  copy_ = 0, copies_ = 1;
  if (!row.pack) return;
  row.pack(arrays_);
  constexpr std::size_t kLine = 16;  // floats
  copy_ = (arrays_.packed.size() + kLine - 1) / kLine * kLine;
  if (copy_ > 0) copies_ = std::size_t(std::clamp<i64>(cold_bytes_ / i64(4 * copy_), 1, 4096));
  if (copies_ == 1) return;
  const Array<float> one = arrays_.packed;
  arrays_.packed.resize(copy_ * copies_);
  for (std::size_t c = 1; c < copies_; ++c)
    std::copy(one.begin(), one.end(), arrays_.packed.begin() + i64(c * copy_));
}

void Bed::run(Exec& exec, const WorkRow& row) {
  row.run(exec, arrays_);
  if (copies_ > 1) arrays_.packed_at = (arrays_.packed_at + copy_) % (copy_ * copies_);
}

std::string Bed::disagreement(Exec& exec, const WorkRow& row) {
  if (verified_.count(row.name)) return "";
  if (want_.empty()) {
    const Arrays<double> truth = filled<double>(*work_);
    Exec plain(Target::portable);
    work_->reference(plain, truth);
    want_ = truth.out;
  }
  for (std::size_t o = 0; o < work_->out.size(); ++o)
    fill(arrays_.out[o], work_->out[o], Rng(1).derive(100 + o));
  run(exec, row);
  for (std::size_t o = 0; o < want_.size(); ++o) {
    double largest = 0;
    for (double w : want_[o]) largest = std::max(largest, std::fabs(w));
    for (std::size_t i = 0; i < want_[o].size(); ++i) {
      const double got = arrays_.out[o][i], want = want_[o][i];
      if (std::fabs(got - want) <= work_->tolerance * (1 + largest)) continue;  // NaN goes on
      char text[120];
      std::snprintf(text, sizeof text, "WRONG: output %zu element %zu: got %.9g, want %.9g", o, i, got, want);
      return text;
    }
  }
  verified_.insert(row.name);
  return "";
}

}  // namespace offramp::nas::microbench
