#include "conformance/suite.h"

#include <fmt/core.h>

#include <set>

#include "ops/catalog.h"

namespace autarky {

std::vector<Subject> subjects() {
  std::vector<Subject> all;
  Catalog::each([&]<Operation Op>() {
    Subject s{&op_info<Op>(), Differentiable<Op>, Op::cases()};
    if (!s.cases.empty()) all.push_back(std::move(s));
  });
  return all;
}

std::vector<Instance> all_instances(const Subject& s, const Case& c, Size size, DType dtype) {
  auto all = instances(*s.op, c, size, dtype);
  for (std::size_t i = 0, n = all.size(); s.differentiable && i < n; ++i)
    for (auto& x : gradient_instances(all[i], c)) all.push_back(std::move(x));
  return all;
}

void register_kernel_table(const Backends& backends) {
  register_test("kernels", "of_every_operation", [&backends] {
    std::map<std::string, std::map<std::string_view, std::set<std::string>>> table;
    for (const auto& s : subjects())
      for (const auto& c : s.cases)
        for (DType dtype : {DType::f64, DType::f32, DType::bf16})
          for (const auto& x : all_instances(s, c, Size::small, dtype))
            for (const auto& b : backends) {
              const Choice choice = b->kernels().choose(*x.op, x.attrs, x.in, x.out);
              ASSERT_NE(choice.kernel, nullptr) << x.label;
              auto& kernels = table[fmt::format("{:<22} {:<5}", x.op->name, dtype_name(dtype))];
              std::string name = choice.kernel->name;
              for (const auto& why : choice.refusals) name += " (" + why + ")";
              kernels[b->name()].insert(name);
            }
    for (const auto& [row, columns] : table) {
      std::string line = row;
      for (const auto& [backend, kernels] : columns) {
        std::string names;
        for (const auto& k : kernels) names += (names.empty() ? "" : ", ") + k;
        line += fmt::format("{}: {:<24} ", backend, names);
      }
      fmt::print("{}\n", line);
    }
  });
}

}  // namespace autarky
