#include "nn/plan/runner.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/error.h"
#include "kernels/gemm/gemm.h"
#include "kernels/norm/norm.h"
#include "kernels/parallel.h"
#include "kernels/pool/pool.h"
#include "kernels/recorder.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "kernels/timing.h"
#include "tensor/storage.h"

namespace offramp::nn {

using namespace kernels;

namespace {

constexpr i64 kLine = 16;  // floats in 64 bytes
i64 line_up(i64 floats) { return (floats + kLine - 1) / kLine * kLine; }

WeightView dense_view(const float* data, i64 kernel, i64 c_in) {
  return {data, kernel * kernel * c_in, kernel * c_in, c_in};
}

// How the weights of a step are packed: nothing to do for kinds without a weight matrix.
struct PackedFloats {
  Target target;
  i64 operator()(const Conv2dDims& d) const { return conv2d_packed_floats(d, target); }
  i64 operator()(const DepthwiseDims& d) const { return depthwise_packed_floats(d, target); }
  i64 operator()(const GemmDims& d) const { return gemm_packed_floats(d, target); }
  i64 operator()(const auto&) const { return 0; }
};
struct Pack {
  Target target;
  const float* w;
  float* packed;
  void operator()(const Conv2dDims& d) const {
    conv2d_pack(d, target, dense_view(w, d.kernel, d.c_in / d.groups), packed);
  }
  void operator()(const DepthwiseDims& d) const {
    depthwise_pack(d, target, dense_view(w, d.kernel, 1), packed);
  }
  void operator()(const GemmDims& d) const { gemm_pack(d, target, w, d.k, 1, packed); }
  void operator()(const auto&) const {}
};

}  // namespace

void PlanRunner::Memory::Free::operator()(float* p) const { std::free(p); }

void PlanRunner::Memory::allocate(i64 floats) {
  bytes_ = size_t(line_up(std::max<i64>(floats, 1))) * sizeof(float);
  data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes_)));
  if (!data_) throw Error("out of memory: a plan needs " + std::to_string(bytes_) + " bytes");
  ask_for_huge_pages(reinterpret_cast<std::byte*>(data_.get()), i64(bytes_));
}

// Seconds by worker, then by step of the part that runs.
struct PlanRunner::Clock {
  std::vector<std::vector<double>> seconds;
};

PlanRunner::~PlanRunner() = default;

PlanRunner::PlanRunner(const Plan& plan, Target target, i64 max_batch, int threads)
    : plan_(plan),
      target_(target),
      max_batch_(std::max<i64>(max_batch, 1)),
      threads_(std::max(threads, 1)),
      tiling_(tile(plan_)) {
  for (const PlanWeight& w : plan_.weights)
    if (w.value.device() != offramp::Device::cpu)
      throw Error("this plan was recorded without weights ('" + w.name + "'): it has a cost but cannot run");
  layout_ = lay_out(plan_, tiling_, max_batch_);
  arena_.allocate(layout_.floats(threads_));
  for (int w = 0; w < threads_; ++w) workers_.push_back(std::make_unique<Exec>(target_, 1));

  // Weights in the order of execution, contiguous: packed matrices where the kernel wants them, copies
  // elsewhere. The plan's own are not needed any more.
  i64 floats = 0;
  const auto each_step = [&](auto&& f) {
    for (const PlanStage& stage : plan_.stages)
      for (const auto* steps : {&stage.body, &stage.head})
        for (const Step& s : *steps) f(s);
  };
  const auto value = [&](int index) { return plan_.weights[size_t(index)].value; };
  each_step([&](const Step& s) {
    const i64 packed = std::visit(PackedFloats{target_}, s.dims);
    floats += line_up(packed);
    for (int w : {packed > 0 ? -1 : s.w, s.bias, s.mean, s.var, s.gamma, s.beta})
      if (w >= 0) floats += line_up(value(w).count());
  });
  weights_.allocate(floats);

  float* next = weights_.data();
  const auto place = [&](int index) -> const float* {
    if (index < 0) return nullptr;
    const Tensor t = value(index);
    float* here = next;
    std::memcpy(here, t.data<float>(), size_t(t.count()) * sizeof(float));
    next += line_up(t.count());
    return here;
  };
  const auto prepare = [&](const Step& s) {
    Ready ready{.step = &s};
    if (const i64 packed = std::visit(PackedFloats{target_}, s.dims); packed > 0) {
      std::visit(Pack{target_, value(s.w).data<float>(), next}, s.dims);
      ready.packed = next;
      next += line_up(packed);
    } else {
      ready.w = place(s.w);
    }
    ready.bias = place(s.bias);
    ready.mean = place(s.mean);
    ready.var = place(s.var);
    ready.gamma = place(s.gamma);
    ready.beta = place(s.beta);
    return ready;
  };
  for (size_t i = 0; i < plan_.stages.size(); ++i) {
    Part& body = bodies_.emplace_back(Part{{}, tiling_.bodies[i]});
    for (const Step& s : plan_.stages[i].body) body.steps.push_back(prepare(s));
    Part& head = heads_.emplace_back(Part{{}, tiling_.heads[i]});
    for (const Step& s : plan_.stages[i].head) head.steps.push_back(prepare(s));
  }
  // Their sizes stay known.
  for (PlanWeight& w : plan_.weights) w.value = Tensor::empty(w.value.shape(), DType::f32, Device::meta);
}

float* PlanRunner::at(int buffer, const Group& group) {
  if (buffer < 0) return nullptr;
  const size_t b = size_t(buffer);
  if (tiling_.inside[b])
    return arena_.data() + layout_.shared_floats + group.worker * layout_.worker_floats + layout_.offsets[b];
  return arena_.data() + layout_.offsets[b] + group.first * plan_.buffers[b];
}

void PlanRunner::run_step(Exec& exec, const Ready& ready, const Group& group) {
  const Step& s = *ready.step;
  const float *x = at(s.x, group), *z = at(s.z, group);
  float* y = at(s.y, group);
  struct Run {
    PlanRunner& self;
    Exec& exec;
    const Ready& r;
    const float *x, *z;
    float* y;
    void operator()(const Conv2dDims& d) const {
      const Extent out = conv2d_out(d);
      conv2d(exec, {.dims = d,
                    .out_h = out.h,
                    .out_w = out.w,
                    .x = x,
                    .w = dense_view(r.w, d.kernel, d.c_in / d.groups),
                    .packed = r.packed,
                    .bias = r.bias,
                    .residual = z,
                    .act = r.step->act,
                    .y = y});
    }
    void operator()(const DepthwiseDims& d) const {
      const Extent out = depthwise_out(d);
      depthwise(exec, {.dims = d,
                       .out_h = out.h,
                       .out_w = out.w,
                       .x = x,
                       .w = dense_view(r.w, d.kernel, 1),
                       .packed = r.packed,
                       .bias = r.bias,
                       .act = r.step->act,
                       .y = y});
    }
    void operator()(const GemmDims& d) const {
      gemm(exec, {.dims = d,
                  .a = x,
                  .a_row = d.k,
                  .a_k = 1,
                  .b = r.w,
                  .b_col = d.k,
                  .b_k = 1,
                  .packed = r.packed,
                  .bias = r.bias,
                  .residual = z,
                  .act = r.step->act,
                  .c = y,
                  .c_row = d.n});
    }
    void operator()(const PoolDims& d) const {
      const Extent out = pool_out(d);
      pool(exec, {.dims = d, .out_h = out.h, .out_w = out.w, .x = x, .y = y});
    }
    void operator()(const GlobalPoolDims& d) const { global_avg_pool(exec, {.dims = d, .x = x, .y = y}); }
    void operator()(const NormDims& d) const {
      norm(exec, {.dims = d,
                  .x = x,
                  .mean = r.mean,
                  .var = r.var,
                  .gamma = r.gamma,
                  .beta = r.beta,
                  .eps = r.step->eps,
                  .act = r.step->act,
                  .y = y});
    }
    void operator()(const ActDims& d) const { activate(exec, {.dims = d, .x = x, .y = y}); }
    void operator()(const BinaryDims& d) const { binary(exec, {.dims = d, .x = x, .z = z, .y = y}); }
    void operator()(const ResizeDims& d) const { resize(exec, {.dims = d, .x = x, .y = y}); }
    void operator()(const SoftmaxDims& d) const { softmax(exec, {.dims = d, .x = x, .y = y}); }
  };
  std::visit(Run{*this, exec, ready, x, z, y}, at_batch(s.dims, group.count));
}

void PlanRunner::run_group(Exec& exec, const Part& part, const Segment& segment, const Group& group,
                           Clock* clock) {
  double before = clock ? now_seconds() : 0;
  for (size_t i = segment.first; i < segment.end; ++i) {
    run_step(exec, part.steps[i], group);
    if (!clock) continue;
    const double after = now_seconds();
    clock->seconds[size_t(group.worker)][i] += after - before;
    before = after;
  }
}

// Threads take equal numbers of groups.
i64 PlanRunner::groups(const Exec& exec, const Segment& segment, i64 n) const {
  const i64 least = group_count(n, segment.group), threads = std::min(threads_, exec.threads());
  return least == 1 ? 1 : std::min(n, group_count(least, threads) * threads);
}

void PlanRunner::run(Exec& exec, const Part& part, i64 n, Clock* clock) {
  if (exec.target() != target_)
    throw Error("a plan packed for " + std::string(target_name(target_)) + " was run on " +
                std::string(target_name(exec.target())));
  if (n > max_batch_)
    throw Error("a plan for " + std::to_string(max_batch_) + " samples got " + std::to_string(n));
  if (n < 1) return;
  for (const Segment& segment : part.segments) {
    const i64 groups = this->groups(exec, segment, n);
    const auto group = [&](i64 i, int worker) {
      const i64 first = group_begin(n, groups, i);
      return Group{first, group_begin(n, groups, i + 1) - first, worker};
    };
    // Threads take whole groups; a single group is shared kernel by kernel. A recorder sees the calls in
    // order.
    if (groups > 1 && threads_ > 1 && exec.threads() > 1 && !exec.recorder) {
      i64 grain = 1;
      if (exec.threads() > threads_) grain = group_count(groups, threads_);  // areas for so many threads only
      parallel_for(exec, groups, grain, [&](i64 begin, i64 end, int worker) {
        for (i64 i = begin; i < end; ++i)
          run_group(*workers_[size_t(worker)], part, segment, group(i, worker), clock);
      });
      continue;
    }
    for (i64 i = 0; i < groups; ++i) run_group(exec, part, segment, group(i, 0), clock);
  }
}

void PlanRunner::run_body(Exec& exec, i64 stage, i64 n) { run(exec, bodies_[size_t(stage)], n); }

const float* PlanRunner::run_head(Exec& exec, i64 stage, i64 n) {
  run(exec, heads_[size_t(stage)], n);
  return at(plan_.stages[size_t(stage)].logits);
}

std::vector<PlanRunner::StepTime> PlanRunner::time_steps(Exec& exec, i64 last_stage, i64 n, i64 runs) {
  std::vector<const Part*> parts;
  for (i64 s = 0; s <= last_stage; ++s)
    for (const Part* part : {&bodies_[size_t(s)], &heads_[size_t(s)]}) parts.push_back(part);

  // Results come to lie where the image was: a pass over what the last one left would soon compute with
  // denormal numbers, at a tenth of the speed.
  const std::vector<float> images(input(), input() + n * plan_.buffers[0]);

  // Recorded once, in order, for the names of the rows.
  std::vector<StepTime> times;
  for (const Part* part : parts) {
    Recorder recorder;
    Recorder* const others = std::exchange(exec.recorder, &recorder);
    run(exec, *part, n);
    exec.recorder = others;
    size_t call = 0;
    for (const Segment& segment : part->segments) {
      const i64 groups = this->groups(exec, segment, n);
      for (size_t i = segment.first; i < segment.end; ++i)
        times.push_back({part->steps[i].step, recorder.calls[call + i - segment.first].kernel, groups,
                         group_begin(n, groups, 1), 0});
      call += (segment.end - segment.first) * size_t(groups);
    }
  }

  std::vector<std::vector<double>> samples(times.size());
  std::vector<double> us(times.size());
  for (i64 run = 0; run < runs; ++run) {
    std::copy(images.begin(), images.end(), input());
    time_pass(exec, last_stage, n, us);
    for (size_t i = 0; i < us.size(); ++i) samples[i].push_back(us[i]);
  }
  for (size_t i = 0; i < times.size(); ++i) {
    std::vector<double>& t = samples[i];
    std::nth_element(t.begin(), t.begin() + i64(t.size() / 2), t.end());
    times[i].us = t[t.size() / 2];
  }
  return times;
}

void PlanRunner::time_pass(Exec& exec, i64 last_stage, i64 n, std::span<double> us) {
  const double overhead = clock_overhead_us();
  Clock clock;
  size_t first = 0;
  for (i64 s = 0; s <= last_stage; ++s)
    for (const Part* part : {&bodies_[size_t(s)], &heads_[size_t(s)]}) {
      clock.seconds.assign(size_t(threads_), std::vector<double>(part->steps.size(), 0.0));
      run(exec, *part, n, &clock);
      for (const Segment& segment : part->segments) {
        const i64 groups = this->groups(exec, segment, n);
        const int sharing = groups > 1 ? int(std::min<i64>(std::min(threads_, exec.threads()), groups)) : 1;
        for (size_t i = segment.first; i < segment.end; ++i) {
          double sum = 0;
          for (const auto& worker : clock.seconds) sum += worker[i];
          us[first + i] = std::max(sum * 1e6 - double(groups) * overhead, 0.0) / sharing;
        }
      }
      first += part->steps.size();
    }
}

void PlanRunner::compact(i64 stage, std::span<const i64> keep) {
  const int buffer = plan_.stages[size_t(stage)].features;
  const i64 floats = plan_.buffers[size_t(buffer)];
  float* data = at(buffer);
  for (size_t to = 0; to < keep.size(); ++to)
    if (keep[to] != i64(to))
      std::memcpy(data + i64(to) * floats, data + keep[to] * floats, size_t(floats) * sizeof(float));
}

}  // namespace offramp::nn
