// offramp op NAME: one operator, forward and gradients, on .npy arrays.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "kernels/target.h"
#include "nas/cli/context.h"
#include "nas/cli/files.h"
#include "nas/cli/op_table.h"
#include "nas/cli/verb.h"
#include "tensor/npy.h"

namespace offramp::cli {
namespace {

const Operator& find_operator(const std::string& name) {
  std::vector<std::string> names;
  for (const Operator& op : operators()) {
    if (op.name == name) return op;
    names.push_back(op.name);
  }
  throw usage_error("unknown operator '" + name + "'" + did_you_mean(name, names));
}

template <class Item>
const Item& find_named(const std::vector<Item>& list, const std::string& name, const std::string& what) {
  std::vector<std::string> names;
  for (const Item& item : list) {
    if (item.name == name) return item;
    names.push_back(item.name);
  }
  throw usage_error(what + " '" + name + "'" + (names.empty() ? "; it has none" : did_you_mean(name, names)));
}

std::map<std::string, double> read_attributes(const Operator& op, const std::vector<std::string>& given) {
  std::map<std::string, double> values;
  for (const OperatorAttribute& a : op.attributes) values[a.name] = a.initial;
  for (const std::string& word : given) {
    const auto [name, text] = split_assignment(word, "--attr");
    const OperatorAttribute& a = find_named(op.attributes, name, op.name + " has no attribute");
    const double value = a.whole ? double(parse_count(text, "--attr " + name, -(i64{1} << 50)))
                                 : parse_number(text, "--attr " + name);
    if (value < a.low || value > a.high)
      throw usage_error(op.name + ": " + name + "=" + text + " is outside " + nlohmann::json(a.low).dump() +
                        " .. " + nlohmann::json(a.high).dump());
    values[name] = value;
  }
  for (const auto& [name, value] : values)
    if (std::isnan(value)) throw usage_error(op.name + " needs --attr " + name + "=...");
  return values;
}

Tensor read_array(const std::string& path, const std::string& what) {
  Tensor array = read_npy(path);
  for (i64 extent : array.shape().extents())
    if (extent == 0) throw input_error(what + ": " + path + " has no elements: shape " + array.shape().str());
  return array;
}

std::map<std::string, Variable> read_inputs(const Operator& op, const std::vector<std::string>& given,
                                            bool grads) {
  std::map<std::string, Variable> values;
  DType dtype = DType::f32;
  std::string first;  // the floating-point input that sets the type
  for (const std::string& word : given) {
    const auto [name, path] = split_assignment(word, "--in");
    const OperatorInput& input = find_named(op.inputs, name, op.name + " has no input");
    if (values.count(name)) throw usage_error(op.name + ": input " + name + " is given twice");
    Tensor array = read_array(path, op.name + ": " + name);
    const std::string got = ", got " + std::string(dtype_name(array.dtype())) + " in " + path;
    if (input.integers) {
      if (array.dtype() != DType::i64) throw input_error(op.name + ": " + name + " must be int64" + got);
    } else if (array.dtype() != DType::f32 && array.dtype() != DType::f64) {
      throw input_error(op.name + ": " + name + " must be float32 or float64" + got);
    } else if (first.empty()) {
      dtype = array.dtype();
      first = name;
    } else if (array.dtype() != dtype) {
      throw input_error(op.name + ": " + name + " must have the type of " + first + " (" +
                        std::string(dtype_name(dtype)) + ")" + got);
    }
    values.emplace(name, Variable(std::move(array), grads && input.differentiable));
  }
  for (const OperatorInput& input : op.inputs) {
    if (!input.optional && !values.count(input.name))
      throw usage_error(op.name + " needs --in " + input.name + "=FILE.npy");
    values.try_emplace(input.name);
  }
  return values;
}

}  // namespace

void run_op(Console& console, const Words& words) {
  std::string name, grad_path, out_dir, device, precision;
  std::vector<std::string> inputs, attributes;
  int threads = 1;
  Args args(console, "op", "run one operator, forward and gradients, on .npy arrays",
            {"offramp op conv2d --in x=x.npy --in w=w.npy --attr stride=2 --attr pad=1 --out-dir out",
             "offramp op max_pool2d --in x=x.npy --attr kernel=3 --grad gy.npy --out-dir out"});
  args.word("NAME", name, "operator, see below")
      .repeated("--in NAME=FILE", inputs, "input array, float32 or float64; once per input")
      .repeated("--attr NAME=VALUE", attributes, "attribute; once per attribute")
      .option("--grad FILE", grad_path, "gradient of a loss with respect to y; writes gx.npy, gw.npy, ...")
      .option("--out-dir DIR", out_dir, "where y.npy goes; created when absent")
      .required("--out-dir")
      .threads(threads)
      .device(device, precision, "f32");
  std::string notes = "operators (inputs; attributes = default):\n";
  for (const Operator& op : operators()) {
    notes += "  " + op.name + ":";
    for (const OperatorInput& i : op.inputs) notes += " " + i.name + (i.optional ? "?" : "");
    for (const OperatorAttribute& a : op.attributes)
      notes +=
          (&a == op.attributes.data() ? "; " : ", ") + a.name +
          (std::isnan(a.initial)
               ? ""
               : "=" + (a.name == "stride" && a.initial == 0 ? "kernel" : nlohmann::json(a.initial).dump()));
    notes += "\n";
  }
  args.notes(notes);
  if (!args.parse(words)) return;

  const Operator& op = find_operator(name);
  OperatorArguments arguments;
  arguments.attributes = read_attributes(op, attributes);
  arguments.inputs = read_inputs(op, inputs, !grad_path.empty());
  Exec exec = make_exec(device, precision, threads);
  const Device memory = memory_of(exec);
  if (memory == Device::cuda) {
    if (precision == "bf16")
      throw usage_error("float32 arrays are computed with --precision f32 or tf32");
    for (auto& [input, v] : arguments.inputs)
      if (v.defined()) {
        if (v.value().dtype() == DType::f64)
          throw usage_error(op.name + ": " + input +
                            " is float64, which is the CPU's reference; a card takes float32");
        v = Variable(v.value().to(memory), v.requires_grad());
      }
  }

  const OperatorOutput output = op.run(exec, arguments);
  std::vector<std::pair<std::string, Tensor>> results{{"y", output.y.value()}};
  results.insert(results.end(), output.more.begin(), output.more.end());
  if (!grad_path.empty()) {
    Tensor gy = read_array(grad_path, op.name + ": --grad");
    const Tensor& y = output.y.value();
    if (y.rank() == 0 && gy.shape() == Shape{1}) gy = gy.reshape(Shape{});
    if (gy.shape() != y.shape() || gy.dtype() != y.dtype())
      throw input_error(op.name + ": --grad must be " + std::string(dtype_name(y.dtype())) + " " +
                        y.shape().str() + " like y, got " + std::string(dtype_name(gy.dtype())) + " " +
                        gy.shape().str() + " in " + grad_path);
    backward(exec, output.y, gy.to(memory));
    for (const OperatorInput& input : op.inputs)
      if (const Variable& v = arguments.in(input.name); v.defined() && input.differentiable)
        results.emplace_back("g" + input.name, v.grad());
  }

  create_folders(out_dir);
  nlohmann::ordered_json listed = nlohmann::ordered_json::array();
  std::string text;
  for (const auto& [output_name, tensor] : results) {
    const std::string path = (std::filesystem::path(out_dir) / (output_name + ".npy")).string();
    write_npy(path, tensor.to(Device::cpu).contiguous());
    listed.push_back({{"name", output_name},
                      {"file", path},
                      {"dtype", dtype_name(tensor.dtype())},
                      {"shape", tensor.shape().extents()}});
    text += output_name + " " + std::string(dtype_name(tensor.dtype())) + " " + tensor.shape().str() +
            " -> " + path + "\n";
  }
  if (console.options.json)
    console.print_json({{"op", op.name},
                        {"target", target_name(exec.target())},
                        {"threads", threads},
                        {"device", device},
                        {"outputs", listed}});
  else
    console.print(text);
}

}  // namespace offramp::cli
