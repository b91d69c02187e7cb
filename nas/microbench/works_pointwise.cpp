// The families without multiply-accumulates: rows differ from the double reference by rounding.
#include <tuple>
#include <type_traits>

#include "kernels/act/act.h"
#include "kernels/binary/binary.h"
#include "kernels/norm/norm.h"
#include "kernels/pool/pool.h"
#include "kernels/resize/resize.h"
#include "kernels/softmax/softmax.h"
#include "kernels/update/update.h"
#include "nas/microbench/works.h"

namespace offramp::nas::microbench {
namespace {

using namespace kernels;

constexpr Fill kReals = Fill::reals, kPositive = Fill::positive;
constexpr double kClose = 1e-5;
constexpr double kEps = 1e-5;  // added to the variance

i64 inputs(const PoolDims& d) { return d.n * d.h * d.w * d.c; }
i64 outputs(const PoolDims& d) {
  const Extent out = pool_out(d);
  return d.n * out.h * out.w * d.c;
}
i64 inputs(const ResizeDims& d) { return d.n * d.h * d.w * d.c; }
i64 outputs(const ResizeDims& d) { return d.n * d.out_h * d.out_w * d.c; }

}  // namespace

std::vector<Work> inference_works(const std::string& text, const PoolDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return PoolCallT<T>{.dims = d, .out_h = pool_out(d).h, .out_w = pool_out(d).w, .x = a.x(0), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { pool(e, c); };
  return {make_work(text, pool_cost(d), kClose, {{inputs(d), kReals}}, {{outputs(d)}}, pool_table(), d, call,
                    door, &PoolRow<PoolDims, PoolCall>::name)};
}

std::vector<Work> training_works(const std::string& text, const PoolDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    const Extent out = pool_out(d);
    return PoolGradCallT<T>{
        .dims = d, .out_h = out.h, .out_w = out.w, .x = a.x(0), .gy = a.x(1), .gx = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { pool_grad(e, c); };
  return {make_work("gx of " + text, pool_grad_cost(d), kClose, {{inputs(d), kReals}, {outputs(d), kReals}},
                    {{inputs(d)}}, pool_grad_table(), d, call, door, &PoolRow<PoolDims, PoolGradCall>::name)};
}

std::vector<Work> inference_works(const std::string& text, const GlobalPoolDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return GlobalAvgPoolCallT<T>{.dims = d, .x = a.x(0), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { global_avg_pool(e, c); };
  return {make_work(text, global_avg_pool_cost(d), kClose, {{d.n * d.hw * d.c, kReals}}, {{d.n * d.c}},
                    global_avg_pool_table(), d, call, door,
                    &PoolRow<GlobalPoolDims, GlobalAvgPoolCall>::name)};
}

std::vector<Work> training_works(const std::string& text, const GlobalPoolDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return GlobalAvgPoolGradCallT<T>{.dims = d, .gy = a.x(0), .gx = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { global_avg_pool_grad(e, c); };
  return {make_work("gx of " + text, global_avg_pool_grad_cost(d), kClose, {{d.n * d.c, kReals}},
                    {{d.n * d.hw * d.c}}, global_avg_pool_grad_table(), d, call, door,
                    &PoolRow<GlobalPoolDims, GlobalAvgPoolGradCall>::name)};
}

std::vector<Work> inference_works(const std::string& text, const NormDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return NormCallT<T>{.dims = d,
                        .x = a.x(0),
                        .mean = a.x(1),
                        .var = a.x(2),
                        .gamma = a.x(3),
                        .beta = a.x(4),
                        .eps = T(kEps),
                        .act = Act::relu,
                        .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { norm(e, c); };
  const i64 count = d.rows * d.c;
  return {make_work(text, norm_cost(d, Act::relu), kClose,
                    {{count, kReals}, {d.c, kReals}, {d.c, kPositive}, {d.c, kPositive}, {d.c, kReals}},
                    {{count}}, norm_table(), NormAccepts{d, Act::relu}, call, door, &NormRow::name)};
}

// hard_swish is smooth enough that rounding cannot move a value across a jump of the gradient by much.
std::vector<Work> training_works(const std::string& text, const NormDims& d) {
  constexpr Act act = Act::hard_swish;
  const auto forward = [d]<class T>(const Arrays<T>& a) {
    return NormTrainCallT<T>{.dims = d,
                             .x = a.x(0),
                             .gamma = a.x(1),
                             .beta = a.x(2),
                             .eps = T(kEps),
                             .act = act,
                             .mean = a.y(1),
                             .var = a.y(2),
                             .y = a.y(0)};
  };
  const auto backward = [d]<class T>(const Arrays<T>& a) {
    return NormGradCallT<T>{.dims = d,
                            .x = a.x(0),
                            .gy = a.x(1),
                            .mean = a.x(2),
                            .var = a.x(3),
                            .gamma = a.x(4),
                            .beta = a.x(5),
                            .eps = T(kEps),
                            .act = act,
                            .gx = a.y(0),
                            .ggamma = a.y(1),
                            .gbeta = a.y(2)};
  };
  const auto forward_door = [](Exec& e, const auto& c) { norm_train(e, c); };
  const auto backward_door = [](Exec& e, const auto& c) { norm_grad(e, c); };
  const i64 count = d.rows * d.c;
  const Operand values{count, kReals}, real{d.c, kReals}, positive{d.c, kPositive};
  const NormAccepts key{d, act};
  // Few rows make a variance near 0, whose root enlarges rounding.
  return {make_work("y of " + text, norm_train_cost(d, act), 10 * kClose, {values, positive, real},
                    {{count}, {d.c}, {d.c}}, norm_table(), key, forward, forward_door, &NormRow::train_name),
          make_work("gx of " + text, norm_grad_cost(d, act), 10 * kClose,
                    {values, values, real, positive, positive, real}, {{count}, {d.c}, {d.c}}, norm_table(),
                    key, backward, backward_door, &NormRow::grad_name)};
}

std::vector<Work> inference_works(const std::string& text, const ActDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return ActCallT<T>{.dims = d, .x = a.x(0), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { activate(e, c); };
  return {make_work(text, act_cost(d), kClose, {{d.count, kReals}}, {{d.count}}, act_table(), d, call, door,
                    &ActRow<ActCall>::name)};
}

std::vector<Work> training_works(const std::string& text, const ActDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return ActGradCallT<T>{.dims = d, .x = a.x(0), .gy = a.x(1), .gx = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { activate_grad(e, c); };
  return {make_work("gx of " + text, act_grad_cost(d), kClose, {{d.count, kReals}, {d.count, kReals}},
                    {{d.count}}, act_grad_table(), d, call, door, &ActRow<ActGradCall>::name)};
}

std::vector<Work> inference_works(const std::string& text, const BinaryDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return BinaryCallT<T>{.dims = d, .x = a.x(0), .z = a.x(1), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { binary(e, c); };
  return {make_work(text, binary_cost(d), kClose, {{binary_count(d), kReals}, {binary_z_count(d), kReals}},
                    {{binary_count(d)}}, binary_table(), d, call, door, &BinaryRow<BinaryCall>::name)};
}

std::vector<Work> training_works(const std::string& text, const BinaryDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return BinaryGradCallT<T>{.dims = d, .x = a.x(0), .z = a.x(1), .gy = a.x(2), .gx = a.y(0), .gz = a.y(1)};
  };
  const auto door = [](Exec& e, const auto& c) { binary_grad(e, c); };
  const Operand values{binary_count(d), kReals}, z{binary_z_count(d), kReals};
  return {make_work("gx, gz of " + text, binary_grad_cost(d), kClose, {values, z, values},
                    {{values.count}, {z.count}}, binary_grad_table(), d, call, door,
                    &BinaryRow<BinaryGradCall>::name)};
}

std::vector<Work> inference_works(const std::string& text, const ResizeDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return ResizeCallT<T>{.dims = d, .x = a.x(0), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { resize(e, c); };
  return {make_work(text, resize_cost(d), kClose, {{inputs(d), kReals}}, {{outputs(d)}}, resize_table(), d,
                    call, door, &ResizeRow<ResizeCall>::name)};
}

std::vector<Work> training_works(const std::string& text, const ResizeDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return ResizeGradCallT<T>{.dims = d, .gy = a.x(0), .gx = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { resize_grad(e, c); };
  return {make_work("gx of " + text, resize_grad_cost(d), kClose, {{outputs(d), kReals}}, {{inputs(d)}},
                    resize_grad_table(), d, call, door, &ResizeRow<ResizeGradCall>::name)};
}

std::vector<Work> inference_works(const std::string& text, const SoftmaxDims& d) {
  const auto call = [d]<class T>(const Arrays<T>& a) {
    return SoftmaxCallT<T>{.dims = d, .x = a.x(0), .y = a.y(0)};
  };
  const auto door = [](Exec& e, const auto& c) { softmax(e, c); };
  const i64 count = d.rows * d.classes;
  return {make_work(text, softmax_cost(d), kClose, {{count, kReals}}, {{count}}, softmax_table(), d, call,
                    door, &SoftmaxRow::name)};
}

std::vector<Work> update_works(const std::string& text, i64 count) {
  const Operand values{count, kReals}, positive{count, kPositive};
  // A tiny rate: a timed call is repeated on its own result thousands of times.
  const auto sgd = [count]<class T>(const Arrays<T>& a) {
    return SgdCallT<T>{.count = count,
                       .lr = T(1e-6),
                       .momentum = T(0.9),
                       .weight_decay = T(5e-4),
                       .grad_scale = T(1),
                       .nesterov = true,
                       .g = a.x(0),
                       .v = a.y(0),
                       .p = a.y(1)};
  };
  const auto adamw = [count]<class T>(const Arrays<T>& a) {
    return AdamWCallT<T>{.count = count,
                         .lr = T(1e-6),
                         .beta1 = T(0.9),
                         .beta2 = T(0.999),
                         .eps = T(1e-8),
                         .weight_decay = T(0.01),
                         .bias1 = T(0.5),
                         .bias2 = T(0.5),
                         .grad_scale = T(1),
                         .g = a.x(0),
                         .m = a.y(0),
                         .v = a.y(1),
                         .p = a.y(2)};
  };
  const auto ema = [count]<class T>(const Arrays<T>& a) {
    return EmaCallT<T>{.count = count, .decay = T(0.999), .p = a.x(0), .average = a.y(0)};
  };
  const auto squares = [count]<class T>(const Arrays<T>& a) { return std::tuple{count, a.x(0), a.y(0)}; };
  const auto squares_door = [](Exec& e, const auto& c) {
    const auto& [n, x, sum] = c;
    using T = std::remove_reference_t<decltype(*sum)>;
    *sum = T(sum_squares(e, n, x));
  };
  return {make_work(
              text, sgd_cost(count, true), kClose, {values}, {values, values}, sgd_table(), count, sgd,
              [](Exec& e, const auto& c) { sgd_update(e, c); }, &UpdateRow<SgdCall>::name),
          make_work(
              text, adamw_cost(count), kClose, {values}, {values, positive, values}, adamw_table(), count,
              adamw, [](Exec& e, const auto& c) { adamw_update(e, c); }, &UpdateRow<AdamWCall>::name),
          make_work(
              text, ema_cost(count), kClose, {values}, {values}, ema_table(), count, ema,
              [](Exec& e, const auto& c) { ema_update(e, c); }, &UpdateRow<EmaCall>::name),
          make_work(text, sum_squares_cost(count), kClose, {values}, {{1}}, sum_squares_table(), count,
                    squares, squares_door, &SumSquaresRow::name)};
}

}  // namespace offramp::nas::microbench
