#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "kernels/error.h"
#include "tensor/file.h"

namespace offramp {

namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little, "tensors are stored as they lie in memory");

constexpr i64 kMaxHeader = 100'000'000;  // the format's own limit
constexpr char kMetadata[] = "__metadata__";

struct Entry {
  std::string name;
  DType dtype;
  Shape shape;
  i64 begin, end;  // bytes, from the end of the header
};

struct Header {
  std::vector<Entry> entries;  // by offset
  std::map<std::string, std::string> metadata;
  i64 data_offset = 0;
};

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::i64:
      return "I64";
    case DType::bf16:
      return "BF16";
    case DType::u8:
      break;
  }
  return "U8";
}

// A name from a file, fit for one line of an error message.
std::string shown(const std::string& name) {
  std::string out;
  for (char c : name.substr(0, 80)) out += c >= 0x20 && c < 0x7f ? c : '?';
  return "'" + out + "'";
}

// Refuses what the parser would let pass: one key twice, and nesting that no header has.
struct StrictKeys {
  std::vector<std::set<std::string>> open;
  bool operator()(int depth, Json::parse_event_t event, Json& value) {
    if (depth > 4) throw input_error("nested too deeply");
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second)
      throw input_error("the key " + shown(value.get<std::string>()) + " stands there twice");
    return true;
  }
};

Json parse(const std::string& text, const std::string& path) {
  try {
    StrictKeys strict;
    return Json::parse(text, [&](int d, Json::parse_event_t e, Json& v) { return strict(d, e, v); });
  } catch (const nlohmann::json::parse_error& e) {
    throw input_error(path + ": the safetensors header is no JSON, at offset " + std::to_string(8 + e.byte));
  } catch (const nlohmann::json::exception&) {
    throw input_error(path + ": the safetensors header is no valid JSON");
  } catch (const Error& e) {
    throw input_error(path + ": safetensors header: " + e.what());
  }
}

i64 whole_number(const Json& value) {
  if (!value.is_number_unsigned() || value.get<u64>() > u64(std::numeric_limits<i64>::max()))
    throw input_error("wanted a whole number in shape or data_offsets");
  return value.get<i64>();
}

// Errors without the file's name: the caller adds it.
Entry entry_from(const std::string& name, const Json& json, i64 data_bytes) {
  if (!json.is_object() || json.size() != 3 || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets") || !json["dtype"].is_string() || !json["shape"].is_array() ||
      !json["data_offsets"].is_array() || json["data_offsets"].size() != 2)
    throw input_error("wanted dtype, shape and two data_offsets");
  Entry out{.name = name};
  const std::string dtype = json["dtype"].get<std::string>();
  if (dtype == "F32")
    out.dtype = DType::f32;
  else if (dtype == "F64")
    out.dtype = DType::f64;
  else if (dtype == "I64")
    out.dtype = DType::i64;
  else if (dtype == "U8")
    out.dtype = DType::u8;
  else if (dtype == "BF16")
    out.dtype = DType::bf16;
  else
    throw input_error("dtype " + shown(dtype) + " is not supported, wanted F32, F64, I64, U8 or BF16");
  std::vector<i64> extents;
  for (const Json& extent : json["shape"]) extents.push_back(whole_number(extent));
  out.shape = Shape(extents);
  out.begin = whole_number(json["data_offsets"][0]);
  out.end = whole_number(json["data_offsets"][1]);
  if (out.begin > out.end || out.end > data_bytes)
    throw input_error("data_offsets " + std::to_string(out.begin) + ".." + std::to_string(out.end) +
                      " do not lie in the " + std::to_string(data_bytes) + " bytes after the header");
  const i64 wanted = out.shape.count() * dtype_size(out.dtype);
  if (out.end - out.begin != wanted)
    throw input_error(out.shape.str() + " of " + dtype + " takes " + std::to_string(wanted) +
                      " bytes, its data_offsets span " + std::to_string(out.end - out.begin));
  return out;
}

Header read_header(const InputFile& file) {
  const std::string& path = file.path();
  u64 length = 0;
  if (file.size() < 10)
    throw input_error(path + ": " + std::to_string(file.size()) + " bytes are no safetensors file");
  file.read_at(0, &length, 8);
  if (length < 2 || length > u64(kMaxHeader) || length > u64(file.size() - 8))
    throw input_error(path + ": the safetensors header at offset 0 claims " + std::to_string(length) +
                      " bytes, the file has " + std::to_string(file.size() - 8));
  std::string text(size_t(length), '\0');
  file.read_at(8, text.data(), i64(length));
  if (text[0] != '{') throw input_error(path + ": no safetensors file, wanted '{' at offset 8");
  const Json json = parse(text, path);

  Header out;
  out.data_offset = 8 + i64(length);
  const i64 data_bytes = file.size() - out.data_offset;
  for (const auto& item : json.items()) {
    try {
      if (item.key() != kMetadata) {
        out.entries.push_back(entry_from(item.key(), item.value(), data_bytes));
        continue;
      }
      if (!item.value().is_object()) throw input_error("wanted an object of strings");
      for (const auto& pair : item.value().items()) {
        if (!pair.value().is_string()) throw input_error("wanted strings, " + shown(pair.key()) + " is none");
        out.metadata[pair.key()] = pair.value().get<std::string>();
      }
    } catch (const Error& e) {
      throw input_error(path + ": " + shown(item.key()) + ": " + e.what());
    }
  }
  std::sort(out.entries.begin(), out.entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  i64 covered = 0;
  for (const Entry& e : out.entries) {
    if (e.begin != covered)
      throw input_error(path + ": " + shown(e.name) + " begins at data offset " + std::to_string(e.begin) +
                        ", the tensors before it end at " + std::to_string(covered));
    covered = e.end;
  }
  if (covered != data_bytes)
    throw input_error(path + ": the tensors end at data offset " + std::to_string(covered) +
                      ", the file has " + std::to_string(data_bytes) + " bytes of data");
  return out;
}

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  const InputFile file(path);
  Header header = read_header(file);
  SafeTensors out;
  out.metadata = std::move(header.metadata);
  for (const Entry& e : header.entries) {
    Tensor t = Tensor::empty(e.shape, e.dtype);
    file.read_at(header.data_offset + e.begin, t.bytes().data(), e.end - e.begin);
    out.tensors.emplace(e.name, std::move(t));
  }
  return out;
}

std::map<std::string, std::string> read_safetensors_metadata(const std::string& path) {
  return read_header(InputFile(path)).metadata;
}

void write_safetensors(const std::string& path, const SafeTensors& contents) {
  std::vector<std::pair<std::string, Tensor>> order;
  for (const auto& [name, tensor] : contents.tensors) {
    if (!tensor.defined() || tensor.device() == Device::meta || name == kMetadata)
      throw Error("cannot write " + path + ": " + shown(name) + " has no contents or a reserved name");
    order.emplace_back(name, tensor.contiguous().to(Device::cpu));
  }
  // The widest first: every tensor stays aligned to its element.
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return dtype_size(a.second.dtype()) > dtype_size(b.second.dtype());
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!contents.metadata.empty()) {
    header[kMetadata] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : contents.metadata) header[kMetadata][key] = value;
  }
  i64 at = 0;
  for (const auto& [name, tensor] : order) {
    const i64 end = at + tensor.count() * dtype_size(tensor.dtype());
    header[name] = {
        {"dtype", name_of(tensor.dtype())}, {"shape", tensor.shape().extents()}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw Error("cannot write " + path + ": a name or the metadata are no valid UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  const u64 length = text.size();
  write_file_atomically(path, [&](const Sink& sink) {
    sink(std::as_bytes(std::span(&length, 1)));
    sink(std::as_bytes(std::span(text)));
    for (const auto& named : order) sink(named.second.bytes());
  });
}

}  // namespace offramp
