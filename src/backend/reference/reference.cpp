#include "backend/reference/reference.h"

#include "backend/host_memory.h"
#include "base/error.h"
#include "ops/catalog.h"

namespace autarky {
namespace {

template <class T>
void read_as(const Tensor& t, std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_arithmetic_v<T>) values[i] = double(t.as<const T>()[i]);
    else values[i] = double(float(t.as<const T>()[i]));
  }
}
template <class T>
void write_as(std::span<const double> values, const Tensor& t) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if constexpr (std::is_arithmetic_v<T>) t.as<T>()[i] = T(values[i]);
    else t.as<T>()[i] = T(float(values[i]));
  }
}

void launch_reference(const OpInfo& op, const std::any& attrs, const KernelArgs& args) {
  std::vector<std::vector<double>> in, out;
  std::vector<std::span<const double>> in_spans;
  std::vector<std::span<double>> out_spans;
  std::vector<Type> in_types, out_types;
  for (const auto& t : args.in) {
    in.push_back(to_doubles(t));
    in_types.push_back(*t.type);
  }
  for (const auto& t : args.out) {
    out.emplace_back(std::size_t(t.elements()));
    out_types.push_back(*t.type);
  }
  in_spans.assign(in.begin(), in.end());
  out_spans.assign(out.begin(), out.end());
  op.reference(attrs, HostArgs{in_spans, out_spans, in_types, out_types, args.parts});
  for (std::size_t i = 0; i < out.size(); ++i) from_doubles(out[i], args.out[i]);
}

class ReferenceBackend : public Backend {
 public:
  ReferenceBackend() { add_reference_kernels(table_); }
  std::string_view name() const override { return "reference"; }
  const KernelTable& kernels() const override { return table_; }
  std::unique_ptr<Memory> allocate(std::int64_t bytes) const override {
    return allocate_host(bytes);
  }

 private:
  KernelTable table_;
};

}  // namespace

std::vector<double> to_doubles(const Tensor& t) {
  std::vector<double> values(std::size_t(t.elements()));
  switch (t.dtype()) {
    case DType::f64:
      read_as<double>(t, values);
      break;
    case DType::f32:
      read_as<float>(t, values);
      break;
    case DType::bf16:
      read_as<bf16>(t, values);
      break;
    case DType::f16:
      read_as<f16>(t, values);
      break;
    case DType::i64:
      read_as<std::int64_t>(t, values);
      break;
    case DType::i32:
      read_as<std::int32_t>(t, values);
      break;
    default:
      AUTARKY_CHECK(false, dtype_name(t.dtype()));
  }
  return values;
}

void from_doubles(std::span<const double> values, const Tensor& t) {
  switch (t.dtype()) {
    case DType::f64:
      return write_as<double>(values, t);
    case DType::f32:
      return write_as<float>(values, t);
    case DType::bf16:
      return write_as<bf16>(values, t);
    case DType::f16:
      return write_as<f16>(values, t);
    case DType::i64:
      return write_as<std::int64_t>(values, t);
    case DType::i32:
      return write_as<std::int32_t>(values, t);
    default:
      AUTARKY_CHECK(false, dtype_name(t.dtype()));
  }
}

void add_reference_kernels(KernelTable& table) {
  Catalog::each([&]<Operation Op>() {
    const OpInfo& op = op_info<Op>();
    table.add(op.name, Kernel{"reference", [](const std::any&, Types, Types) { return Support{}; },
                              [](const std::any&, Types, Types) { return std::int64_t(0); },
                              [&op](const std::any& attrs, const KernelArgs& args) {
                                launch_reference(op, attrs, args);
                              }});
  });
}

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace autarky
