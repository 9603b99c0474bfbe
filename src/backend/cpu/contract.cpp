// contract as matrix products: letters are batch, rows, columns or summed; each group must lie
// together, in one order, in every operand that has it.
#include "ops/contract.h"

#include <fmt/format.h>

#include <array>

#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/supports.h"

namespace autarky::cpu {
namespace {

constexpr std::size_t kLeft = 0, kRight = 1, kOut = 2;
enum Group : std::size_t { kBatch, kRows, kCols, kSummed };
constexpr std::string_view kGroupNames[] = {"batch", "row", "column", "summed"};

// Where a group of letters lies: extent, and per operand its stride in elements.
struct GroupExtent {
  std::int64_t extent = 1;
  std::array<std::int64_t, 3> stride = {1, 1, 1};
};

struct Plan {
  std::array<GroupExtent, 4> groups;
  bool swapped = false;  // the result is stored by columns: right and left change places
  std::string why_not;
};

struct Letters {
  std::array<std::string, 3> of;  // without dims of extent 1
  std::array<std::vector<std::int64_t>, 3> strides, extents;
};

Letters letters_of(const DimRule& rule, const Extents& extents) {
  Letters all;
  const std::vector<RuleDim>* lists[] = {&rule.in[0], &rule.in[1], &rule.out[0]};
  for (std::size_t i = 0; i < 3; ++i) {
    std::int64_t stride = 1;
    for (std::size_t d = lists[i]->size(); d-- > 0;) {
      const char name = (*lists[i])[d].name;
      const std::int64_t extent = extents.at(name);
      if (extent != 1) {
        all.of[i].insert(all.of[i].begin(), name);
        all.strides[i].insert(all.strides[i].begin(), stride);
        all.extents[i].insert(all.extents[i].begin(), extent);
      }
      stride *= extent;
    }
  }
  return all;
}

// Which group a letter is in, or why it is in none.
std::string classify(const Letters& all, char letter, Group& group) {
  bool in[3];
  for (std::size_t i = 0; i < 3; ++i) {
    in[i] = all.of[i].find(letter) != std::string::npos;
    if (in[i] && all.of[i].find(letter) != all.of[i].rfind(letter))
      return fmt::format("'{}' occurs twice in one operand", letter);
  }
  if (in[kLeft] && in[kRight]) group = in[kOut] ? kBatch : kSummed;
  else if (in[kOut]) group = in[kLeft] ? kRows : kCols;
  else return fmt::format("'{}' is in one operand only", letter);
  return "";
}

// Finds the letters of `group` in operand i; they must be neighbours, in the order `wanted`.
std::string place(const Letters& all, std::size_t i, const std::string& wanted, Group group,
                  GroupExtent& result) {
  const auto at = all.of[i].find(wanted);
  if (at == std::string::npos)
    return fmt::format("the {} dims '{}' do not lie together in that order", kGroupNames[group],
                       wanted);
  result.stride[i] = all.strides[i][at + wanted.size() - 1];
  result.extent = 1;
  for (std::size_t l = 0; l < wanted.size(); ++l) result.extent *= all.extents[i][at + l];
  return "";
}

bool is_matrix(const Plan& p, std::size_t operand, Group a, Group b) {
  const GroupExtent &x = p.groups[a], &y = p.groups[b];
  return x.stride[operand] == 1 || y.stride[operand] == 1 || x.extent <= 1 || y.extent <= 1;
}

std::string fill_groups(const Letters& all, Plan& plan) {
  std::array<std::string, 4> members;
  for (std::size_t i = 0; i < 3; ++i)
    for (const char letter : all.of[i]) {
      Group group{};
      if (auto why = classify(all, letter, group); !why.empty()) return why;
      if (members[group].find(letter) == std::string::npos) members[group] += letter;
    }
  constexpr bool kHas[4][3] = {
      {true, true, true}, {true, false, true}, {false, true, true}, {true, true, false}};
  for (const Group g : {kBatch, kRows, kCols, kSummed})
    for (std::size_t i = 0; i < 3 && !members[g].empty(); ++i)
      if (kHas[g][i])
        if (auto why = place(all, i, members[g], g, plan.groups[g]); !why.empty()) return why;
  return "";
}

Plan make_plan(const Contract::Attrs& a, Types in) {
  Plan plan;
  const DimRule rule = Contract::rule(a, in);
  plan.why_not = fill_groups(letters_of(rule, bind_extents(rule, in)), plan);
  if (!plan.why_not.empty()) return plan;
  const GroupExtent &rows = plan.groups[kRows], &cols = plan.groups[kCols];
  plan.swapped = cols.extent > 1 && cols.stride[kOut] != 1;
  const GroupExtent& inner = plan.swapped ? rows : cols;
  if (inner.extent > 1 && inner.stride[kOut] != 1)
    plan.why_not = "the batch dims are last in the result";
  else if (!is_matrix(plan, kLeft, kRows, kSummed) || !is_matrix(plan, kRight, kCols, kSummed))
    plan.why_not = "the batch dims are last in an operand";
  return plan;
}

Support supports_contract(const Contract::Attrs& a, Types in, Types out) {
  const Support types =
      first_refusal({wants_storage(in[0], "the left side"), wants_storage(in[1], "the right side"),
                     a.accumulate ? wants(in[2], DType::f32, "the accumulator") : Support{},
                     a.accumulate ? wants(out[0], DType::f32, "the result")
                                  : wants_storage(out[0], "the result")});
  if (!types.yes) return types;
  const std::string why = make_plan(a, in).why_not;
  return unless(!why.empty(), why);
}

// One of the two factors, as gemm reads it; its lines are rows or columns of the result.
struct Factor {
  const Tensor& tensor;
  std::size_t operand;
  const GroupExtent& lines;
};

GemmOperand factor_at(const Plan& plan, const Factor& f, std::int64_t batch, bool lines_first) {
  const Tensor& t = f.tensor;
  const std::int64_t start = batch * plan.groups[kBatch].stride[f.operand];
  const std::int64_t line = f.lines.stride[f.operand];
  const std::int64_t k = plan.groups[kSummed].stride[f.operand];
  return {t.data + start * byte_size(t.dtype()), t.dtype(), lines_first ? line : k,
          lines_first ? k : line};
}

void launch_contract(const Contract::Attrs& a, const KernelArgs& x) {
  const Type types[] = {*x.in[0].type, *x.in[1].type, *x.out[0].type};
  const Plan plan = make_plan(a, Types(types).first(x.in.size()));
  const Factor left{x.in[0], kLeft, plan.groups[kRows]};
  const Factor right{x.in[1], kRight, plan.groups[kCols]};
  const Factor &first = plan.swapped ? right : left, &second = plan.swapped ? left : right;
  const GroupExtent& summed = plan.groups[kSummed];
  // Both factors by columns: a sum over tokens into a weight's gradient.
  const bool over_tokens = summed.stride[kLeft] != 1 && summed.stride[kRight] != 1;
  const GemmShape shape{first.lines.extent, second.lines.extent, summed.extent, over_tokens};
  const Tensor& out = x.out[0];
  for (std::int64_t b = 0; b < plan.groups[kBatch].extent; ++b) {
    std::byte* c = out.data + b * plan.groups[kBatch].stride[kOut] * byte_size(out.dtype());
    const std::int64_t row_stride =
        first.lines.extent > 1 ? first.lines.stride[kOut] : second.lines.extent;
    gemm(shape, factor_at(plan, first, b, true), factor_at(plan, second, b, false),
         {c, out.dtype(), row_stride, a.accumulate});
  }
}

}  // namespace

void add_contract_kernels(KernelTable& table) {
  table.add<Contract>(
      TypedKernel<Contract>{"packed tiles", supports_contract, launch_contract, {}});
}

}  // namespace autarky::cpu
