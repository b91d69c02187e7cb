// The operands of one work at a time, filled from a fixed seed, and whether a row computes what its reference
// makes of them.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "nas/microbench/work.h"

namespace offramp::nas::microbench {

class Bed {
 public:
  // Weights packed beforehand are spread over copies of about `cold_bytes` in all, and each run reads the
  // next one, as in a network whose weights do not stay in the first caches. 0: one copy.
  explicit Bed(i64 cold_bytes = 0) : cold_bytes_(cold_bytes) {}

  void set(std::shared_ptr<const Work> work);
  // Packs for this row.
  void prepare(const WorkRow& row);
  void run(Exec& exec, const WorkRow& row);
  // Runs the row once; what is wrong with its result, or nothing. A row is asked once per work.
  std::string disagreement(Exec& exec, const WorkRow& row);
  // Bytes between two uses of the same weights, 0 when there is one copy.
  i64 weight_footprint() const { return copies_ > 1 ? i64(copies_ * copy_) * 4 : 0; }

 private:
  i64 cold_bytes_;
  std::shared_ptr<const Work> work_;
  Arrays<float> arrays_;
  std::size_t copy_ = 0, copies_ = 1;  // floats of one, number
  std::vector<Array<double>> want_;
  std::set<std::string_view> verified_;
};

}  // namespace offramp::nas::microbench
