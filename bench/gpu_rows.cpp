#include "bench/gpu_rows.h"

#include <cmath>
#include <map>

#include "kernels/conv2d/conv2d.h"
#include "kernels/cuda/timing.h"
#include "kernels/gemm/gemm.h"
#include "kernels/rng.h"

namespace offramp::bench {
namespace {

using namespace kernels;
using nlohmann::ordered_json;

Tensor random_on_card(i64 count, DType type, u64 seed) {
  Tensor t = Tensor::empty({count});
  Rng rng(seed);
  for (float& v : t.values<float>()) v = rng.uniform(-1, 1);
  return t.to(Device::cuda).to(type);
}

// Largest difference over the largest value that is wanted.
double distance(const Tensor& got, const Tensor& want) {
  const Tensor a = got.to(DType::f32).to(Device::cpu), b = want.to(DType::f32).to(Device::cpu);
  double apart = 0, largest = 1e-6;
  for (i64 i = 0; i < a.count(); ++i) {
    const double x = double(a.data<float>()[i]), y = double(b.data<float>()[i]);
    if (!std::isfinite(x)) return HUGE_VAL;
    apart = std::fmax(apart, std::fabs(x - y)), largest = std::fmax(largest, std::fabs(y));
  }
  return apart / largest;
}

template <class T>
class Rows {
 public:
  Rows(Exec& exec, i64 runs) : exec_(exec), runs_(runs) {}

  void operator()(const Conv2dDims& d, const std::string& text, i64 uses) {
    if (d.groups > 1) return;
    const Extent out = conv2d_out(d);
    const i64 ins = d.n * d.h * d.w * d.c_in, weights = d.c_out * d.kernel * d.kernel * d.c_in;
    each(kernels::cuda::conv2d_rows<T>(), d, text, uses, conv2d_cost(d).macs, ins, weights, d.c_out,
         d.n * out.h * out.w * d.c_out, [&](const T* x, const float* w, const float* bias, T* y) {
           return Conv2dCallT<T>{.dims = d,
                                 .out_h = out.h,
                                 .out_w = out.w,
                                 .x = x,
                                 .w = dense_weights(w, d),
                                 .bias = bias,
                                 .act = Act::relu,
                                 .y = y};
         });
  }
  void operator()(const GemmDims& d, const std::string& text, i64 uses) {
    each(kernels::cuda::gemm_rows<T>(), d, text, uses, gemm_cost(d).macs, d.m * d.k, d.n * d.k, d.n,
         d.m * d.n, [&](const T* x, const float* w, const float* bias, T* y) {
           return GemmCallT<T>{.dims = d,
                               .a = x,
                               .a_row = d.k,
                               .a_k = 1,
                               .b = w,
                               .b_col = d.k,
                               .b_k = 1,
                               .bias = bias,
                               .act = Act::relu,
                               .c = y,
                               .c_row = d.n};
         });
  }
  void operator()(const auto&, const std::string&, i64) {}

  ordered_json results = ordered_json::array();

 private:
  template <class Table, class Dims, class MakeCall>
  void each(const Table& table, const Dims& d, const std::string& text, i64 uses, i64 macs, i64 ins,
            i64 weights, i64 channels, i64 outs, MakeCall make_call) {
    constexpr DType kType = std::is_same_v<T, Bf16> ? DType::bf16 : DType::f32;
    const auto accepts = [&](const auto& row) {
      if constexpr (requires { row.accepts(d); })
        return row.accepts(d);
      else
        return true;
    };
    const Tensor x = random_on_card(ins, kType, 1), w = random_on_card(weights, DType::f32, 2),
                 bias = random_on_card(channels, DType::f32, 3);
    Tensor y = Tensor::empty({outs}, kType, Device::cuda), want = Tensor::empty({outs}, kType, Device::cuda);
    const auto call = [&](Tensor& to) {
      return make_call(x.data<T>(), w.data<float>(), bias.data<float>(), to.data<T>());
    };
    for (const auto& row : table)
      if (row.selectable && accepts(row)) {
        row.run(exec_, call(want));
        break;
      }
    const double allowed = kType == DType::bf16                       ? 2e-2
                           : exec_.math() == offramp::cuda::Math::f32 ? 1e-5
                                                                      : 4e-3;
    for (const auto& row : table) {
      if (!accepts(row)) continue;
      const auto work = [&] { row.run(exec_, call(y)); };
      work();
      ordered_json result{{"row", row.name}, {"dims", text}, {"calls", uses}, {"selectable", row.selectable}};
      if (const double apart = distance(y, want); !(apart <= allowed)) {
        result["wrong"] = apart;
      } else {
        const auto t = offramp::cuda::measure_launches(
            *exec_.gpu(), work, {.min_runs = runs_, .max_runs = runs_, .min_seconds = 0});
        result["us"] = t.graph.median_us;
        result["tflop_s"] = 2e-6 * double(macs) / t.graph.median_us;
      }
      results.push_back(std::move(result));
    }
  }

  Exec& exec_;
  i64 runs_;
};

template <class T>
ordered_json time_rows_of(Exec& exec, const std::map<std::string, std::pair<nn::StepDims, i64>>& problems,
                          i64 runs) {
  Rows<T> rows(exec, runs);
  for (const auto& [text, problem] : problems)
    std::visit([&, &text = text, &uses = problem.second](const auto& d) { rows(d, text, uses); },
               problem.first);
  return std::move(rows.results);
}

}  // namespace

ordered_json time_rows(Exec& exec, const nn::Plan& plan, i64 batch, i64 runs) {
  std::map<std::string, std::pair<nn::StepDims, i64>> problems;  // and how often the plan has them
  for (const nn::PlanStage& stage : plan.stages)
    for (const auto* steps : {&stage.body, &stage.head})
      for (const nn::Step& step : *steps) {
        const nn::StepDims dims = nn::at_batch(step.dims, batch);
        ++problems.try_emplace(nn::dims_text(dims), dims, 0).first->second.second;
      }
  return exec.math() == offramp::cuda::Math::bf16 ? time_rows_of<Bf16>(exec, problems, runs)
                                                  : time_rows_of<float>(exec, problems, runs);
}

}  // namespace offramp::bench
