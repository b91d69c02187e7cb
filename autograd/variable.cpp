#include "autograd/variable.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "kernels/binary/binary.h"
#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/recorder.h"

namespace offramp {

struct Variable::Node {
  struct Slice {
    i64 axis, begin, length;
  };
  Tensor value, grad;
  bool requires_grad = false;
  bool grad_owned = false;  // nobody else reads grad: it may be written
  bool is_result = false;   // not a leaf; without a function: its graph was freed
  bool queued = false;
  bool noted = false;  // a term waits to be added to grad
  u64 sequence;        // creation order: inputs before results
  std::vector<std::shared_ptr<Node>> inputs;
  BackwardFunction function;
  // A view: what it is a view of, and how. Such a node has no gradient of its own.
  std::shared_ptr<Node> root;
  std::vector<Slice> slices;

  Node(Tensor v, bool needs) : value(std::move(v)), requires_grad(needs), sequence(next_sequence()) {}

  // A long chain of inputs is released in a loop: recursion would be as deep as the graph.
  ~Node() {
    std::vector<std::shared_ptr<Node>> orphans = std::move(inputs);
    while (!orphans.empty()) {
      const std::shared_ptr<Node> node = std::move(orphans.back());
      orphans.pop_back();
      if (!node || node.use_count() > 1) continue;  // null: an optional input
      std::move(node->inputs.begin(), node->inputs.end(), std::back_inserter(orphans));
      node->inputs.clear();
    }
  }

  Tensor region_of(Tensor whole) const {
    for (const Slice& s : slices) whole = whole.slice(s.axis, s.begin, s.length);
    return whole;
  }
  static u64 next_sequence() {
    static std::atomic<u64> counter{0};  // only the order within one graph matters
    return counter.fetch_add(1, std::memory_order_relaxed);
  }
};

Variable::Variable(Tensor value, bool requires_grad)
    : node_(std::make_shared<Node>(std::move(value), requires_grad)) {}

Variable Variable::result(Tensor value, std::vector<Variable> inputs, BackwardFunction backward) {
  const bool needs = std::any_of(inputs.begin(), inputs.end(),
                                 [](const Variable& v) { return v.defined() && v.requires_grad(); });
  Variable out(std::move(value), needs);
  if (!needs) return out;
  out.node_->is_result = true;
  out.node_->function = std::move(backward);
  out.node_->inputs.reserve(inputs.size());
  for (Variable& v : inputs) out.node_->inputs.push_back(std::move(v.node_));
  return out;
}

Variable Variable::slice(const Variable& parent, i64 axis, i64 begin, i64 length) {
  const Node& from = *parent.node_;
  Variable out(from.value.slice(axis, begin, length), from.requires_grad);
  if (!from.requires_grad) return out;
  out.node_->is_result = true;
  out.node_->root = from.root ? from.root : parent.node_;
  out.node_->slices = from.slices;
  out.node_->slices.push_back({axis, begin, length});
  return out;
}

const Tensor& Variable::value() const {
  if (!node_) throw Error("autograd: value of an undefined variable was asked for");
  return node_->value;
}

const Tensor& Variable::grad() const { return node_->grad; }

void Variable::set_grad(Tensor grad) {
  if (grad.defined() && grad.shape() != shape())
    throw input_error("autograd: gradient of shape " + shape().str() + " wanted, got " + grad.shape().str());
  node_->grad = std::move(grad);
  node_->grad_owned = true;
}

bool Variable::requires_grad() const { return node_->requires_grad; }

Variable Variable::detach() const { return Variable(value(), false); }

// Nodes that have received a gradient, youngest first: when a node is popped, all of its consumers (created
// later) have run.
class Backward::Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {  // not empty only when something threw
    for (const auto& node : heap_) {
      node->queued = false;
      node->grad = {};
    }
    for (const auto& node : noted_) node->noted = false;
  }
  const Node* unit = nullptr;  // the loss when its gradient is 1
  void push(const std::shared_ptr<Node>& node) {
    if (node->queued) return;
    node->queued = true;
    heap_.push_back(node);
    std::push_heap(heap_.begin(), heap_.end(), older);
  }
  // sum, all or a part of the leaf's gradient, += term, in flush() at the latest. Terms of one leaf are added
  // in the order in which they came.
  void note(const std::shared_ptr<Node>& leaf, Tensor sum, Tensor term) {
    if (leaf->noted) flush();
    leaf->noted = true;
    noted_.push_back(leaf);
    sums_.push_back({std::move(sum), std::move(term)});
  }
  void flush() {
    add_all(sums_);
    sums_.clear();
    for (const auto& node : std::exchange(noted_, {})) node->noted = false;
  }
  std::shared_ptr<Node> pop() {
    if (heap_.empty()) return nullptr;
    std::pop_heap(heap_.begin(), heap_.end(), older);
    std::shared_ptr<Node> node = std::move(heap_.back());
    heap_.pop_back();
    node->queued = false;
    return node;
  }

 private:
  static bool older(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) {
    return a->sequence < b->sequence;
  }
  std::vector<std::shared_ptr<Node>> heap_, noted_;
  std::vector<TensorSum> sums_;  // of noted_
};

namespace {

template <class T>
void add_contiguous(Exec& exec, Tensor& sum, const Tensor& term) {
  kernels::binary(
      exec,
      kernels::BinaryCallT<T>{
          .dims = {.n = 1, .hw = 1, .c = sum.count(), .kind = kernels::BinaryKind::add, .broadcast = false},
          .x = std::as_const(sum).data<T>(),
          .z = term.data<T>(),
          .y = sum.data<T>()});
}

void add_into(Exec& exec, Tensor& sum, const Tensor& term) {
  const bool dry = exec.recorder && exec.recorder->dry;
  if constexpr (cuda::kBuilt)
    if (exec.gpu()) return sum.add_(term);
  if (sum.is_contiguous() && term.is_contiguous())
    sum.dtype() == DType::f64 ? add_contiguous<double>(exec, sum, term)
                              : add_contiguous<float>(exec, sum, term);
  else if (!dry)
    sum.add_(term);
}

}  // namespace

Backward::Backward(Exec& exec, Queue& queue, Node& node)
    : exec_(exec),
      queue_(queue),
      node_(node),
      gy_(std::exchange(node.grad, {})),
      gy_owned_(node.grad_owned) {}

bool Backward::wants(size_t input) const {
  const auto& node = node_.inputs[input];
  return node && node->requires_grad;
}

bool Backward::gy_is_one() const { return queue_.unit == &node_; }

Tensor Backward::gy_or_new() {
  if (std::exchange(gy_owned_, false)) return gy_;
  return Tensor::empty(gy_.shape(), gy_.dtype(), gy_.device());
}

void Backward::add(size_t input, Tensor grad) {
  if (wants(input)) accumulate(exec_, queue_, node_.inputs[input], std::move(grad), true);
}

void Backward::add_shared(size_t input, Tensor grad) {
  gy_owned_ = false;
  if (wants(input)) accumulate(exec_, queue_, node_.inputs[input], std::move(grad), false);
}

void Backward::add_gy(size_t input) {
  if (!wants(input)) return;
  const auto& node = node_.inputs[input];
  Tensor grad = gy_.shape() == node->value.shape() ? gy_ : gy_.contiguous().reshape(node->value.shape());
  accumulate(exec_, queue_, node, std::move(grad), std::exchange(gy_owned_, false));
}

void Backward::accumulate(Exec& exec, Queue& queue, const std::shared_ptr<Node>& node, Tensor grad,
                          bool owned) {
  if (grad.shape() != node->value.shape())
    throw Error("autograd: a gradient of shape " + node->value.shape().str() + " was wanted, got " +
                grad.shape().str());
  const auto clone = [&exec](const Tensor& t) {
    return exec.recorder && exec.recorder->dry ? Tensor::empty(t.shape(), t.dtype(), t.device()) : t.clone();
  };
  const std::shared_ptr<Node>& target = node->root ? node->root : node;
  // Nobody reads a leaf's gradient before the end. On the card each addition would be a launch of its own.
  const bool waits = exec.gpu() && !target->is_result;
  const auto add = [&](Tensor sum) {
    waits ? queue.note(target, std::move(sum), std::move(grad)) : add_into(exec, sum, grad);
  };
  if (node->root) {
    if (!target->grad.defined()) {
      const Tensor& like = target->value;
      target->grad = Tensor::zeros(like.shape(), like.dtype(), like.device());
    } else if (!target->grad_owned) {
      target->grad = clone(target->grad);
    }
    target->grad_owned = true;
    add(node->region_of(target->grad));
  } else if (!target->grad.defined()) {
    // The gradient of a leaf is handed to the outside, which may write it.
    const bool keep = owned || target->is_result;
    target->grad = keep ? std::move(grad) : clone(grad);
    target->grad_owned = owned || !keep;
  } else {
    if (!target->grad_owned) target->grad = clone(target->grad);
    target->grad_owned = true;
    add(target->grad);
  }
  if (target->is_result) queue.push(target);
}

void backward(Exec& exec, const Variable& loss, Tensor upstream) {
  if (!loss.defined() || !loss.requires_grad())
    throw usage_error("backward: the loss depends on nothing that needs a gradient");
  const Tensor& value = loss.value();
  Backward::Queue queue;
  if (!upstream.defined()) {
    queue.unit = loss.node_.get();
    if (value.count() != 1)
      throw usage_error("backward: a loss of one element was wanted, got shape " + value.shape().str() +
                        "; pass the upstream gradient");
    upstream = Tensor::empty(value.shape(), value.dtype(), value.device());
    if (value.device() != Device::meta) upstream.fill(1);
  } else if (upstream.shape() != value.shape() || upstream.dtype() != value.dtype()) {
    throw usage_error("backward: upstream gradient of shape " + value.shape().str() + " and type " +
                      std::string(dtype_name(value.dtype())) + " was wanted, got " + upstream.shape().str() +
                      " " + std::string(dtype_name(upstream.dtype())));
  }
  if (!upstream.is_contiguous()) upstream = upstream.contiguous();
  Backward::accumulate(exec, queue, loss.node_, std::move(upstream), false);
  while (const std::shared_ptr<Variable::Node> node = queue.pop()) {
    if (!node->function)
      throw usage_error(
          "backward: this graph was already used by an earlier backward; run the forward again");
    // Moved out of the node, so that its captures are released as soon as it has run.
    const BackwardFunction function = std::exchange(node->function, nullptr);
    Backward context(exec, queue, *node);
    function(context);
    node->inputs.clear();
  }
  queue.flush();
}

}  // namespace offramp
