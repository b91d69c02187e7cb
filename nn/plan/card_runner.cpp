#include "nn/plan/card_runner.h"

#ifdef OFFRAMP_CUDA
#include <algorithm>
#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/problem.h"
#include "kernels/cuda/strided.h"
#include "kernels/exit_select/exit_select.h"
#include "kernels/recorder.h"
#include "kernels/timing.h"
#include "nn/plan/card_plan.h"

namespace offramp::nn {

using namespace kernels;

namespace {

static_assert(int(ExitMeasure::learned_cumulative) == int(Confidence::learned_cumulative),
              "the kernels' measures are those of nn/plan/confidence.h, in order");
ExitMeasure measure_of(const ExitRule& rule) { return ExitMeasure(int(rule.confidence)); }

Tensor card_integers(i64 count) {  // i32, as the kernels take them
  return Tensor::empty({count}, DType::f32, Device::cuda);
}
i32* integers(Tensor& t) { return reinterpret_cast<i32*>(t.data<float>()); }

template <class T>
class Runner final : public CardRunner {
 public:
  Runner(std::shared_ptr<const Plan> plan, i64 max_batch)
      : card_(std::move(plan), max_batch), plan_(&card_.plan()) {
    staged_ = Tensor::empty({max_batch * plan_->buffers[0]}, DType::f32, Device::cuda);
    i64 most = 1;
    for (const PlanStage& stage : plan_->stages)
      if (stage.has_exit()) most = std::max(most, plan_->buffers[size_t(stage.features)]);
    moved_ = Tensor::empty({max_batch * most}, kType<T>, Device::cuda);
    for (Tensor* t : {&predicted_, &exit_, &row_, &sample_[0], &sample_[1]}) *t = card_integers(max_batch);
    confidence_ = card_integers(max_batch);
    counts_ = card_integers(i64(plan_->stages.size()) + 2);
    said_ = card_integers(max_batch), agreeing_ = card_integers(max_batch);
    doubt_ = Tensor::empty({max_batch}, DType::f64, Device::cuda);
    log_sum_ = Tensor::empty({max_batch * plan_->classes}, DType::f64, Device::cuda);
  }

  void load(Exec& exec, const float* images, i64 n) override {
    Gpu& gpu = *exec.gpu();
    const i64 count = n * plan_->buffers[0];
    float* const staged = staged_.data<float>();
    if constexpr (std::is_same_v<T, Bf16>) {
      offramp::cuda::copy(gpu.stream(), staged, images, count * 4);
      card_.input(count).copy_from(staged_.slice(0, 0, count).to(DType::bf16));
    } else {
      offramp::cuda::copy(gpu.stream(), card_.at(0, nullptr), images, count * 4);
    }
  }

  void forward(Exec& exec, i64 n, const Thresholds& thresholds, const ExitRule& rule) override {
    const ExitMeasure measure = measure_of(rule);
    Gpu& gpu = *exec.gpu();
    i32* count = integers(counts_);
    kernels::cuda::exit_start(exec, n, count, integers(sample_[0]));
    const struct Forget {  // whatever happens
      Gpu& gpu;
      ~Forget() { gpu.live = {}; }
    } forget{gpu};
    const Moved* moved = nullptr;
    Moved now{};
    int samples = 0;  // which of the two lists is the present one
    size_t exit = 0;
    i32 met = 0;
    const size_t exits = thresholds.size() + 1;
    const ExitMemory memory{doubt_.data<double>(), integers(said_), integers(agreeing_),
                            log_sum_.data<double>()};
    for (size_t i = 0; i < plan_->stages.size(); ++i) {
      const PlanStage& stage = plan_->stages[i];
      card_.run_body(exec, i, n, moved);
      if (!stage.has_exit()) continue;
      const size_t e = exit++;
      const bool last = e + 1 == exits;
      if (!last && !thresholds[e]) continue;
      card_.run_head(exec, i, n, moved);
      kernels::cuda::exit_select(
          exec, ExitSelectCallT<T>{.batch = n,
                                   .classes = plan_->classes,
                                   .outputs = plan_->outputs(i),
                                   .logits = card_.at(stage.logits, moved),
                                   .count = count,
                                   .sample = integers(sample_[samples]),
                                   .measure = measure,
                                   .cascade = rule.cascade,
                                   .met = ++met,
                                   .memory = memory,
                                   .temperature = rule.temperature.empty() ? 1.0f : rule.temperature[e],
                                   .threshold = last ? 0.0f : *thresholds[e],
                                   .last = last,
                                   .exit = i32(e),
                                   .count_left = count + 1,
                                   .sample_left = integers(sample_[1 - samples]),
                                   .row_left = integers(row_),
                                   .predicted = integers(predicted_),
                                   .confidence = confidence_.data<float>(),
                                   .exit_taken = integers(exit_)});
      if (last) break;
      ++count;
      samples = 1 - samples;
      kernels::cuda::exit_gather(exec, ExitGatherCallT<T>{.batch = n,
                                                          .length = plan_->buffers[size_t(stage.features)],
                                                          .count = count,
                                                          .row = integers(row_),
                                                          .x = card_.at(stage.features, moved),
                                                          .y = moved_.data<T>()});
      now = {stage.features, moved_.data<T>()};
      moved = &now;
      gpu.live = {count, n};
    }
  }

  void run(Exec& exec, const float* images, i64 n, const Thresholds& thresholds, const ExitRule& rule,
           std::span<const i64> costs, Outcome* outcomes) override {
    Gpu& gpu = *exec.gpu();
    load(exec, images, n);
    const Key key{n, thresholds, rule};
    if (graph_key_ == key && graph_) {
      graph_->launch();
    } else if (last_key_ == key) {
      graph_.reset();
      graph_.emplace(gpu, [&] { forward(exec, n, thresholds, rule); });
      graph_key_ = key;
      graph_->launch();
    } else {
      forward(exec, n, thresholds, rule);
    }
    last_key_ = key;
    answers_.resize(size_t(3 * n));
    for (auto [from, part] : {std::pair(integers(predicted_), 0), std::pair(integers(exit_), 1),
                              std::pair(integers(confidence_), 2)})
      offramp::cuda::copy(gpu.stream(), answers_.data() + part * n, from, n * 4);
    gpu.synchronize();
    for (i64 i = 0; i < n; ++i) {
      const i32 exit = answers_[size_t(n + i)];
      outcomes[i] = {answers_[size_t(i)], std::bit_cast<float>(answers_[size_t(2 * n + i)]), exit,
                     costs[size_t(exit)]};
    }
  }

  void run_all(Exec& exec, const float* images, i64 n, float* logits, float* own) override {
    load(exec, images, n);
    const i64 classes = plan_->classes, outputs = classes + plan_->learned_confidence;
    i64 exits = 0, exit = 0;
    for (const PlanStage& stage : plan_->stages) exits += stage.has_exit();
    Tensor all = Tensor::empty({n, exits, outputs}, kType<T>, Device::cuda);
    for (size_t i = 0; i < plan_->stages.size(); ++i) {
      const PlanStage& stage = plan_->stages[i];
      card_.run_body(exec, i, n, nullptr);
      if (!stage.has_exit()) continue;
      card_.run_head(exec, i, n, nullptr);
      offramp::cuda::Strided walk{.axes = 2};
      walk.extent[0] = n, walk.extent[1] = plan_->outputs(i);
      walk.to[0] = exits * outputs, walk.to[1] = 1;
      walk.from[0] = plan_->outputs(i), walk.from[1] = 1;
      const T* const from = card_.at(stage.logits, nullptr);
      offramp::cuda::strided_copy(*exec.gpu(), walk, all.data<T>() + exit++ * outputs, from);
    }
    const Tensor host = all.to(DType::f32).to(Device::cpu);
    const float* answer = host.data<float>();
    for (i64 i = 0; i < n * exits; ++i, answer += outputs) {
      std::copy(answer, answer + classes, logits + i * classes);
      // The final exit learns none.
      if (own) own[i] = own_confidence(answer, classes, i % exits + 1 < exits ? outputs : classes);
    }
  }

  void pass(Exec& exec, i64 last_stage, i64 n) override {
    card_.each_launch(exec, last_stage, n, [](std::span<const Step>, auto&& run) { run(); });
  }

  std::vector<StepTime> time_steps(Exec& exec, i64 last_stage, i64 n, i64 runs) override {
    Gpu& gpu = *exec.gpu();
    pass(exec, last_stage, n);  // finds the memory that kernels need beside their operands
    std::vector<StepTime> times;
    std::vector<size_t> ends;  // of each step: launches up to its last
    offramp::cuda::LaunchTimes launches;
    Recorder recorder;
    const struct Forget {  // whatever happens
      Exec& exec;
      Recorder* others;
      ~Forget() { exec.recorder = others, exec.gpu()->times = nullptr; }
    } forget{exec, std::exchange(exec.recorder, &recorder)};
    gpu.times = &launches;
    offramp::cuda::Graph graph(gpu, [&] {
      card_.each_launch(exec, last_stage, n, [&](std::span<const Step> steps, auto&& run) {
        run();
        const std::string_view kernel = recorder.calls.back().kernel;
        times.push_back(
            {steps, kernel,
             std::string(kernel.substr(0, kernel.find('/'))) + " " + offramp::cuda::problem().dims(), 0});
        ends.push_back(launches.launches.size());
      });
    });
    std::vector<std::vector<double>> us(times.size());
    for (i64 run = -1; run < runs; ++run) {
      graph.launch();
      gpu.synchronize();
      size_t launch = 0;
      for (size_t i = 0; i < times.size() && run >= 0; ++i) {
        double sum = 0;
        for (; launch < ends[i]; ++launch) {
          const auto& l = launches.launches[launch];
          sum += 1e3 * double(offramp::cuda::milliseconds(l.begin, l.end));
        }
        us[i].push_back(sum);
      }
    }
    for (size_t i = 0; i < times.size(); ++i) times[i].us = timing_of(std::move(us[i])).median_us;
    return times;
  }

  i64 weight_bytes() const override { return card_.weight_bytes(); }
  i64 arena_bytes() const override {
    return bytes_of({card_.arena(), staged_, moved_, predicted_, confidence_, exit_, row_, sample_[0],
                     sample_[1], counts_, said_, agreeing_, doubt_, log_sum_});
  }

 private:
  using Gpu = offramp::cuda::Gpu;
  using Moved = typename CardPlan<T>::Moved;
  struct Key {
    i64 n;
    Thresholds thresholds;
    ExitRule rule;
    bool operator==(const Key&) const = default;
  };

  CardPlan<T> card_;
  const Plan* plan_;
  Tensor staged_, moved_;
  Tensor predicted_, confidence_, exit_, row_, sample_[2], counts_;
  Tensor said_, agreeing_, doubt_, log_sum_;  // what samples carry from exit to exit
  std::vector<i32> answers_;
  std::optional<Key> last_key_, graph_key_;
  std::optional<offramp::cuda::Graph> graph_;
};

}  // namespace

std::unique_ptr<CardRunner> CardRunner::make(Exec& exec, std::shared_ptr<const Plan> plan, i64 max_batch) {
  if (exec.math() == offramp::cuda::Math::bf16)
    return std::make_unique<Runner<Bf16>>(std::move(plan), max_batch);
  return std::make_unique<Runner<float>>(std::move(plan), max_batch);
}

}  // namespace offramp::nn
#endif
