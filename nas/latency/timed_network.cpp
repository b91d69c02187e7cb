#include "nas/latency/timed_network.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/timing.h"
#include "nn/record.h"

namespace offramp::nas {
namespace {

// Weights of the right spread, cut from one short row of random numbers: what they are does not matter to the
// clock as long as no activation becomes denormal or infinite.
class CheapParameters : public nn::ParameterSource {
 public:
  CheapParameters() : row_(kRow) {
    Rng rng(1);
    for (float& v : row_) v = rng.uniform(-1.7320508f, 1.7320508f);  // deviation 1
  }
  Variable parameter(const std::string& name, const Shape& shape, const nn::Init& init) override {
    using Kind = nn::Init::Kind;
    Tensor t = Tensor::empty(shape);
    const std::span<float> values = t.values<float>();
    if (init.kind == Kind::ones || init.kind == Kind::zeros) {
      std::fill(values.begin(), values.end(), init.kind == Kind::ones ? 1.0f : 0.0f);
    } else {
      const float scale = float(init.kind == Kind::he_normal ? std::sqrt(2 / double(init.fan))
                                                             : 1 / std::sqrt(3 * double(init.fan)));
      std::size_t at = std::hash<std::string>()(name) % kRow;
      for (float& v : values) {
        v = row_[at] * scale;
        if (++at == kRow) at = 0;
      }
    }
    return Variable(t);
  }
  Tensor buffer(const std::string&, const Shape& shape, double fill) override {
    Tensor t = Tensor::empty(shape);
    const std::span<float> values = t.values<float>();
    std::fill(values.begin(), values.end(), float(fill));
    return t;
  }

 private:
  static constexpr std::size_t kRow = 8191;
  std::vector<float> row_;
};

}  // namespace

std::shared_ptr<const nn::Plan> plan_of(const Space& space, const Genotype& genotype, const Task& task,
                                        bool with_weights) {
  CheapParameters cheap;
  nn::MetaParameters none;
  nn::ParameterSource& source = with_weights ? static_cast<nn::ParameterSource&>(cheap) : none;
  nn::EarlyExitNetwork network(space.decode(genotype, task), source);
  return std::make_shared<const nn::Plan>(nn::deployable(network));
}

TimedNetwork::TimedNetwork(std::shared_ptr<const nn::Plan> plan, Target target)
    : runner_(*plan, target, 1), last_stage_(i64(runner_.plan().stages.size()) - 1) {
  for (const nn::PlanStage& s : this->plan().stages) steps_ += i64(s.body.size() + s.head.size());
  Rng rng(1);
  image_.resize(std::size_t(this->plan().buffers[0]));
  for (float& v : image_) v = rng.uniform(-1, 1);
}

// A pass leaves its own intermediate results where the image was. Fed with those again and again, activations
// shrink to denormal numbers, on which every instruction takes many times as long.
void TimedNetwork::load() { std::copy(image_.begin(), image_.end(), runner_.input()); }

i64 TimedNetwork::bytes() const { return runner_.weight_bytes() + runner_.arena_bytes(); }

double TimedNetwork::time_whole(Exec& exec) {
  load();
  const double before = now_seconds();
  for (i64 s = 0; s <= last_stage_; ++s) {
    runner_.run_body(exec, s, 1);
    if (plan().stages[std::size_t(s)].has_exit()) runner_.run_head(exec, s, 1);
  }
  return (now_seconds() - before) * 1e6 - clock_overhead_us();
}

void TimedNetwork::time_steps(Exec& exec, std::span<double> us) {
  load();
  runner_.time_pass(exec, last_stage_, 1, us);
}

}  // namespace offramp::nas
