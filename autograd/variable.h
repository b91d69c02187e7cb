// Reverse-mode differentiation: a tensor that remembers how it was computed.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "kernels/exec.h"
#include "tensor/tensor.h"

namespace offramp {

class Backward;
using BackwardFunction = std::function<void(Backward&)>;

// Value semantics over a shared node: copies are the same variable.
class Variable {
 public:
  Variable() = default;                                         // undefined
  explicit Variable(Tensor value, bool requires_grad = false);  // a leaf

  // Result of an operation. When no input needs a gradient it is a plain leaf that keeps neither inputs nor
  // function; callers test needs_gradient() first, so that the captures are not even built.
  static Variable result(Tensor value, std::vector<Variable> inputs, BackwardFunction backward);

  // slice(axis, begin, length) of `parent`: a view of its storage. Its gradient is added straight into that
  // region of the parent's gradient (created zero-filled when there is none). Unlike other results a view
  // outlives backward(): it may be kept and used again.
  static Variable slice(const Variable& parent, i64 axis, i64 begin, i64 length);

  bool defined() const { return node_ != nullptr; }
  const Tensor& value() const;
  const Shape& shape() const { return value().shape(); }
  // Of leaves: undefined until backward() reached this variable; backward() adds to it. Undefined for
  // results.
  const Tensor& grad() const;
  void set_grad(Tensor grad);  // undefined tensor: forget it
  void zero_grad() { set_grad({}); }
  bool requires_grad() const;
  Variable detach() const;  // same value, no history, no gradient
  bool same_as(const Variable& other) const { return node_ == other.node_; }

 private:
  struct Node;
  friend class Backward;
  friend void backward(Exec& exec, const Variable& loss, Tensor upstream);
  explicit Variable(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  std::shared_ptr<Node> node_;
};

// What a backward function sees: the gradient of its result and where the gradients of its inputs go.
class Backward {
 public:
  Exec& exec() const { return exec_; }
  const Tensor& gy() const { return gy_; }
  bool gy_is_one() const;          // known without looking: the end of the graph, no upstream gradient given
  bool wants(size_t input) const;  // does this input need a gradient?
  // gy itself when nobody else reads it, to be overwritten and given away by add(); else a new tensor like
  // it.
  Tensor gy_or_new();
  // Adds `grad`, of the input's shape, to the gradient of that input; ignored when the input needs none.
  void add(size_t input, Tensor grad);  // given away: it may become the input's gradient
  void add_shared(size_t input,
                  Tensor grad);  // others read it too (gy, for several inputs): copied before a write
  void add_gy(size_t input);     // gy, in the input's shape; the last use of gy

 private:
  friend void backward(Exec& exec, const Variable& loss, Tensor upstream);
  using Node = Variable::Node;
  class Queue;
  Backward(Exec& exec, Queue& queue, Node& node);
  static void accumulate(Exec& exec, Queue& queue, const std::shared_ptr<Node>& node, Tensor grad,
                         bool owned);
  Exec& exec_;
  Queue& queue_;
  Node& node_;
  Tensor gy_;
  bool gy_owned_;
};

// Adds d loss / d leaf to the gradient of every leaf that needs one, in reverse order of creation; the graph
// behind `loss` is freed on the way. `upstream` has the shape of loss; undefined: 1, for a loss of one
// element. Throws Error(usage) when loss needs no gradient or upstream does not fit.
void backward(Exec& exec, const Variable& loss, Tensor upstream = {});

inline bool needs_gradient(std::initializer_list<const Variable*> inputs) {
  for (const Variable* v : inputs)
    if (v->defined() && v->requires_grad()) return true;
  return false;
}

}  // namespace offramp
