#include "cli/model_options.h"

#include "base/error.h"

namespace autarky::cli {

void add_dtype(Command& command, std::string& dtype) {
  command.add("--dtype", dtype,
              "Type of the products: bf16 or f32; that of the weights if not given");
}

std::optional<DType> parse_dtype_option(const std::string& dtype) {
  if (dtype.empty()) return std::nullopt;
  const auto parsed = parse_dtype(dtype);
  if (parsed != DType::bf16 && parsed != DType::f32)
    throw InputError("cannot compute in this type")
        .at("--dtype")
        .found(dtype)
        .wanted("bf16 or f32");
  return parsed;
}

}  // namespace autarky::cli
