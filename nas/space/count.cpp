// How many networks a space has.
#include <algorithm>
#include <cstdio>
#include <set>

#include "nas/space/walk.h"

namespace offramp::nas {
namespace {

// An exact natural number of any size; digits to the base 10^9, lowest first.
class Natural {
 public:
  Natural(u64 value) {  // NOLINT: a number is a number
    for (; value; value /= kBase) digits_.push_back(u32(value % kBase));
  }
  Natural& operator+=(const Natural& other) {
    digits_.resize(std::max(digits_.size(), other.digits_.size()) + 1, 0);
    u64 carry = 0;
    for (std::size_t i = 0; i < digits_.size(); ++i) {
      carry += u64{digits_[i]} + (i < other.digits_.size() ? other.digits_[i] : 0);
      digits_[i] = u32(carry % kBase);
      carry /= kBase;
    }
    trim();
    return *this;
  }
  Natural operator*(const Natural& other) const {
    Natural result(0);
    result.digits_.assign(digits_.size() + other.digits_.size() + 1, 0);
    for (std::size_t i = 0; i < digits_.size(); ++i) {
      u64 carry = 0;
      for (std::size_t j = 0; j < other.digits_.size() || carry; ++j) {
        carry += result.digits_[i + j] + (j < other.digits_.size() ? u64{digits_[i]} * other.digits_[j] : 0);
        result.digits_[i + j] = u32(carry % kBase);
        carry /= kBase;
      }
    }
    result.trim();
    return result;
  }
  // One less; not for 0.
  void decrement() {
    for (u32& digit : digits_) {
      if (digit > 0) {
        --digit;
        break;
      }
      digit = u32(kBase - 1);
    }
    trim();
  }
  std::string text() const {
    if (digits_.empty()) return "0";
    std::string s = std::to_string(digits_.back());
    for (std::size_t i = digits_.size() - 1; i-- > 0;) {
      char part[16];
      std::snprintf(part, sizeof part, "%09u", unsigned(digits_[i]));
      s += part;
    }
    return s;
  }

 private:
  static constexpr u64 kBase = 1000000000;
  void trim() {
    while (!digits_.empty() && digits_.back() == 0) digits_.pop_back();
  }
  std::vector<u32> digits_;
};

std::set<double> distinct(const Choice& choice) { return {choice.values.begin(), choice.values.end()}; }
Natural kinds(const Choice& choice) { return choice.used() ? distinct(choice).size() : 1; }

Natural kinds(const ModuleModel& module) {
  Natural sum(0);
  for (const double value : distinct(module.type)) {
    const ModuleType type = ModuleType(i64(value));
    Natural there(1);
    for (const ModuleGene gene : kModuleGenes) {
      if (!uses(type, gene)) continue;
      std::set<double> values = distinct(choice_of(module, gene));
      if (gene == ModuleGene::ext && values.erase(0)) sum += 1;  // the layer that is not there
      there = there * Natural(values.size());
    }
    sum += there;
  }
  return sum;
}

Natural kinds(const ExitModel& exit) {
  const std::set<double> depths =
      exit.depth.used() ? distinct(exit.depth) : std::set<double>{double(exit.modules.size())};
  Natural sum(0);
  for (const double depth : depths) {
    Natural product(1);
    for (std::size_t m = 0; m < std::size_t(depth); ++m) product = product * kinds(exit.modules[m]);
    sum += product;
  }
  return sum;
}

Natural kinds(const StageModel& stage) {
  Natural sum(0);
  for (const double depth : distinct(stage.depth)) {
    Natural product(1);
    for (std::size_t l = 0; l < std::size_t(depth); ++l)
      product = product * kinds(stage.kernel[l]) * kinds(stage.expand[l]);
    sum += product;
  }
  return sum * kinds(stage.width);
}

}  // namespace

std::string Space::count() const {
  Natural backbones = kinds(model_->resolution) * kinds(model_->stem.width);
  for (const StageModel& stage : model_->stages) backbones = backbones * kinds(stage);
  if (model_->exits.empty()) return backbones.text();

  Natural branches(1);
  bool all_can_be_off = true;
  for (const ExitModel& exit : model_->exits) {
    u64 on = 0, off = 0;
    for (const double value : distinct(exit.presence)) ++(exit.on(value) ? on : off);
    Natural sum = kinds(exit) * Natural(on);
    sum += Natural(off);
    branches = branches * sum;
    all_can_be_off = all_can_be_off && off > 0;
  }
  if (all_can_be_off) branches.decrement();
  return (backbones * branches).text();
}

}  // namespace offramp::nas
