// What the generated conformance suite does not see: rounding of stores, thread counts at sizes of
// many pieces, refusals, decoding, and the edges of single kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "backend/cpu/cpu_backend.h"
#include "base/parallel.h"
#include "ops/catalog.h"
#include "unit/backend/run_kernel.h"

namespace autarky {
namespace {

const KernelTable& cpu_kernels() {
  static const auto backend = make_cpu_backend();
  return backend->kernels();
}
const KernelTable& definitions() {
  static const auto backend = make_reference_backend();
  return backend->kernels();
}

template <Operation Op>
std::vector<Operand> run(const typename Op::Attrs& a, const std::vector<Operand>& in,
                         const DimParts& parts = {}) {
  return run_kernel(cpu_kernels(), op_info<Op>(), std::any(a), in, parts);
}
template <Operation Op>
std::vector<Operand> define(const typename Op::Attrs& a, const std::vector<Operand>& in,
                            const DimParts& parts = {}) {
  return run_kernel(definitions(), op_info<Op>(), std::any(a), in, parts);
}
template <Operation Op>
Choice choose(const typename Op::Attrs& a, const std::vector<Type>& in) {
  return cpu_kernels().choose(op_info<Op>(), std::any(a), in,
                              output_types(op_info<Op>(), std::any(a), in));
}
template <Operation Op>
void expect_definition(const typename Op::Attrs& a, const std::vector<Operand>& in, double within,
                       const DimParts& parts = {}) {
  auto found = run<Op>(a, in, parts), wanted = define<Op>(a, in, parts);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_LT(difference(found[i].values(), wanted[i].values()), within) << "output " << i;
}

// AdamW's copy of weights that are not changed (the gradients are not finite).
std::vector<std::uint16_t> bf16_copies(const std::vector<double>& values) {
  const Type w(DType::f32, {{'e', std::int64_t(values.size())}});
  const Operand zero(w), hyper(Type(DType::f32, {{'h', Hyper::kCount}}), {0.1, 0.5, 0.5, 0, 0});
  const Operand clip(Type(DType::f32, {{'y', 2}}), {NAN, NAN});
  auto out = run<AdamW>({.copy = DType::bf16}, {Operand(w, values), zero, zero, zero, hyper, clip});
  std::vector<std::uint16_t> bits(values.size());
  std::memcpy(bits.data(), out[3].bytes.data(), out[3].bytes.size());
  return bits;
}

// Factor and norm, clipped to 2, of a gradient's squared norm and a loss, with limits of both.
std::vector<double> clip_of(double squares, double loss, double norm_limit, double loss_limit = 0) {
  const auto digits = [](double x) {
    std::array<std::int64_t, Digits::kCount> d{};
    Digits::add(x, d);
    Operand o(Type(DType::i64, {{'z', Digits::kCount}}));
    std::memcpy(o.bytes.data(), d.data(), sizeof d);
    return o;
  };
  const Operand hyper(Type(DType::f32, {{'h', Hyper::kCount}}),
                      {0.1, 0.5, 0.5, norm_limit, loss_limit});
  return run<ClipScale>({.max_norm = 2}, {digits(squares), digits(loss), hyper})[0].values();
}

TEST(CpuKernels, AStepIsTakenOnlyWithAFiniteLossAndNormWithinTheirLimits) {
  EXPECT_EQ(clip_of(1, 3, 0), (std::vector<double>{1, 1}));
  EXPECT_EQ(clip_of(64, 3, 0), (std::vector<double>{0.25, 8}));
  EXPECT_EQ(clip_of(64, 3, 8, 3), (std::vector<double>{0.25, 8}));
  for (const auto& skipped : {clip_of(64, 3, 7.5), clip_of(64, 3, 0, 2.5), clip_of(64, 3, -1),
                              clip_of(64, NAN, 0), clip_of(64, -INFINITY, 0, 1e9)}) {
    EXPECT_TRUE(std::isnan(skipped[0]));
    EXPECT_EQ(skipped[1], 8);
  }
  for (const double bad : {double(NAN), double(INFINITY)}) {
    const auto skipped = clip_of(bad, 3, 0);
    EXPECT_TRUE(std::isnan(skipped[0]) && std::isnan(skipped[1])) << bad;
  }
}

TEST(CpuKernels, StoresOfBf16RoundToNearestEven) {
  const double unit = std::ldexp(1.0, -7), inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<double, std::uint16_t>> known = {
      {1, 0x3f80},
      {1 + unit / 2, 0x3f80},       // a tie, to the even 1
      {1 + 1.5 * unit, 0x3f82},     // a tie, to the even 1 + 2 units
      {1 + 0.5001 * unit, 0x3f81},  // above the tie
      {-1 - 1.5 * unit, 0xbf82},
      {3.3895314e38, 0x7f7f},  // the greatest bf16
      {3.4028234e38, 0x7f80},  // the greatest f32 rounds to infinity
      {inf, 0x7f80},
      {-inf, 0xff80},
      {1e-40, 0x0001},  // subnormal: 1.09 units
      {-0.0, 0x8000}};
  std::vector<double> values;
  for (int repeat = 0; repeat < 7; ++repeat)
    for (const auto& [value, bits] : known) values.push_back(value);
  const auto bits = bf16_copies(values);
  for (std::size_t i = 0; i < bits.size(); ++i)
    EXPECT_EQ(bits[i], known[i % known.size()].second) << values[i];
  EXPECT_GT(bf16_copies({NAN})[0] & 0x7fff, 0x7f80);  // still not a number
}

TEST(CpuKernels, StoresOfBf16AgreeWithTheScalarConversionForEveryLength) {
  for (std::int64_t n = 1; n < 70; ++n) {
    const auto values = normal_values(n, std::uint32_t(n));
    const auto bits = bf16_copies(values);
    for (std::size_t i = 0; i < bits.size(); ++i)
      ASSERT_EQ(bits[i], bf16(float(values[i])).bits) << n << " " << i;
  }
}

// Values that fit what an input is filled with.
Operand filled(const Type& type, Fill fill, std::int64_t id_limit, std::uint32_t stream) {
  auto values = normal_values(type.elements(), stream);
  const std::int64_t row = type.dims.back().extent;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double& x = values[i];
    const double id = std::floor(std::abs(x) * 1000);
    if (fill == Fill::ids || fill == Fill::targets) x = std::fmod(id, double(id_limit));
    if (fill == Fill::targets && i % 5 == 0) x = -1;
    if (fill == Fill::positions) x = double(std::int64_t(i) % row);
    if (fill == Fill::segments) x = double(std::int64_t(i) % row * 3 / row);
    if (fill == Fill::positive) x = std::abs(x) + 0.1;
  }
  return Operand(type, values);
}

// A case with many more rows, in the element type of a model; what is changed in place stays f32.
std::vector<Operand> enlarged(const OpInfo& op, const Case& c, DType dtype) {
  const auto in_place = op.aliases(c.attrs, c.in.size());
  const std::int64_t f = c.in[0].find('s') < 0 ? 900 : 10;
  const std::map<char, std::int64_t> factors = {{'b', 3}, {'s', 41}, {'t', 41}, {'f', f}};
  std::vector<Operand> in;
  for (std::size_t i = 0; i < c.in.size(); ++i) {
    Type type = c.in[i];
    for (Dim& d : type.dims)
      if (factors.contains(d.name)) d.extent *= factors.at(d.name);
    const bool kept = std::find(in_place.begin(), in_place.end(), int(i)) != in_place.end();
    if (type.dtype == DType::f32 && !kept) type.dtype = dtype;
    in.push_back(
        filled(type, i < c.fill.size() ? c.fill[i] : Fill::normal, c.id_limit, std::uint32_t(i)));
  }
  return in;
}

void expect_same_bits(const OpInfo& op, const std::any& attrs, const std::vector<Operand>& in) {
  std::vector<Operand> wanted;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    auto found = run_kernel(cpu_kernels(), op, attrs, in);
    if (threads == 1) wanted = std::move(found);
    else
      for (std::size_t i = 0; i < found.size(); ++i)
        EXPECT_TRUE(found[i].bytes == wanted[i].bytes)
            << op.name << ", output " << i << ", " << threads << " threads";
  }
}

class ThreadCounts : public testing::Test {
  void TearDown() override { set_thread_count(before_); }
  int before_ = thread_count();
};

bool is_fast(const OpInfo& op, const std::any& attrs, const std::vector<Operand>& in) {
  std::vector<Type> types;
  for (const auto& x : in) types.push_back(x.type);
  const Choice choice = cpu_kernels().choose(op, attrs, types, output_types(op, attrs, types));
  return choice.kernel && choice.kernel->name != "reference";
}

TEST_F(ThreadCounts, DoNotChangeTheBitsOfAnyKernel) {
  int run_count = 0;
  Catalog::each([&]<Operation Op>() {
    for (const Case& c : Op::cases())
      for (const DType dtype : {DType::f32, DType::bf16}) {
        const auto in = enlarged(op_info<Op>(), c, dtype);
        if (!is_fast(op_info<Op>(), c.attrs, in)) continue;
        ++run_count;
        expect_same_bits(op_info<Op>(), c.attrs, in);
      }
  });
  EXPECT_GT(run_count, 50);
}

TEST_F(ThreadCounts, DoNotChangeTheBitsOfGradientsThatHaveNoCases) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Dim b{'b', 3}, s{'s', 150}, t{'t', 150}, g{'g', 2}, r{'r', 2}, d{'d', 16};
    const Dim v{'v', 333}, e{'e', 40};
    const Type q(dtype, {b, s, g, r, d}), k(dtype, {b, t, g, d}), lse(DType::f32, {b, s, g, r});
    const Type qi(DType::i32, {b, s}), ki(DType::i32, {b, t}), tokens(DType::f32, {b, s});
    const Operand positions = filled(qi, Fill::positions, 0, 0);
    const Operand keys(ki, filled(qi, Fill::positions, 0, 0).values());
    expect_same_bits(op_info<AttentionGrad>(), AttentionAttrs{0.25, 0},
                     {normal(q, 1), normal(k, 2), normal(k, 3), positions, keys, Operand(qi),
                      Operand(ki), normal(q, 4), filled(lse, Fill::positive, 0, 5), normal(q, 6)});
    expect_same_bits(op_info<VocabStatsGrad>(), VocabStatsGrad::Attrs{},
                     {normal(Type(dtype, {b, s, e}), 1), normal(Type(dtype, {v, e}), 2),
                      filled(qi, Fill::targets, 333, 3), filled(tokens, Fill::positive, 0, 4),
                      normal(tokens, 5), normal(tokens, 6)});
  }
}

TEST(CpuKernels, RefuseAContractionWhoseDimsDoNotLieTogetherAndSayWhy) {
  const Dim b{'b', 2}, s{'s', 3}, g{'g', 2}, r{'r', 3}, d{'d', 4}, e{'e', 5};
  const Contract::Attrs a{"b s g r d, e r g d -> b s e"};
  const std::vector<Type> in = {Type(DType::f32, {b, s, g, r, d}), Type(DType::f32, {e, r, g, d})};
  const Choice choice = choose<Contract>(a, in);
  EXPECT_EQ(choice.kernel->name, "reference");
  ASSERT_EQ(choice.refusals.size(), 1u);
  EXPECT_NE(choice.refusals[0].find("summed dims 'grd' do not lie together"), std::string::npos)
      << choice.refusals[0];
}

TEST(CpuKernels, RefuseF64AndSayWhy) {
  const Type x(DType::f64, {{'e', 5}});
  const Choice choice = choose<Add>({}, {x, x});
  EXPECT_EQ(choice.kernel->name, "reference");
  ASSERT_EQ(choice.refusals.size(), 1u);
  EXPECT_EQ(choice.refusals[0], "simd: input 0 is f64, not f32 or bf16");
}

TEST(CpuKernels, ContractBatchesTransposedResultsAndSingleRows) {
  const Dim x{'x', 3}, m{'m', 7}, n{'n', 5}, k{'k', 11}, one{'b', 1};
  const auto f = [](std::vector<Dim> dims) { return Type(DType::f32, std::move(dims)); };
  const std::vector<std::pair<std::string, std::vector<Type>>> cases = {
      {"x m k, x k n -> x m n", {f({x, m, k}), f({x, k, n})}},
      {"x m k, x n k -> x n m", {f({x, m, k}), f({x, n, k})}},
      {"x k m, x n k -> m x n", {f({x, k, m}), f({x, n, k})}},
      {"m x k, n k -> m x n", {f({m, x, k}), f({n, k})}},
      {"k m, k n -> n m", {f({k, m}), f({k, n})}},
      {"b k, n k -> b n", {f({one, k}), f({n, k})}},
      {"m k, k -> m", {f({m, k}), f({k})}}};
  for (const auto& [spec, types] : cases) {
    SCOPED_TRACE(spec);
    EXPECT_EQ(choose<Contract>({spec}, types).kernel->name, "packed tiles");
    expect_definition<Contract>({spec}, {normal(types[0], 1), normal(types[1], 2)}, 1e-6);
  }
}

TEST(CpuKernels, AttendFromOneNewTokenToACache) {
  const Dim b{'b', 2}, s{'s', 1}, t{'t', 37}, g{'g', 2}, r{'r', 3}, d{'d', 16};
  const Type k(DType::f32, {b, t, g, d}), qi(DType::i32, {b, s}), ki(DType::i32, {b, t});
  std::vector<double> positions(74), segments(74, 0);
  for (std::size_t i = 0; i < 74; ++i) positions[i] = double(i % 37);
  for (std::size_t i = 20; i < 37; ++i) segments[i] = -1;  // not yet filled
  expect_definition<Attention>(
      {0.25, 0},
      {normal(Type(DType::f32, {b, s, g, r, d}), 1), normal(k, 2), normal(k, 3),
       Operand(qi, {36, 20}), Operand(ki, positions), Operand(qi), Operand(ki, segments)},
      2e-6);
}

TEST(CpuKernels, TurnByLargePositionsAsExactlyAsBySmallOnes) {
  const Dim b{'b', 1}, s{'s', 4}, g{'g', 2}, d{'d', 20}, k{'k', 10};
  std::vector<double> frequencies(10);
  for (std::size_t i = 0; i < 10; ++i) frequencies[i] = std::pow(10000.0, -double(i) / 10);
  expect_definition<Rope>({1.5, true},
                          {normal(Type(DType::f32, {b, s, g, d}), 1),
                           Operand(Type(DType::i32, {b, s}), {0, 1, 131071, 100000007}),
                           Operand(Type(DType::f32, {k}), frequencies)},
                          3e-7);
}

TEST(CpuKernels, GatesAreExactToTheLastBitsOverTheWholeRange) {
  const Type type(DType::f32, {{'f', 4001}});
  std::vector<double> x(4001), ones(4001, 1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = float((double(i) - 2000) / 25);
  auto silu = run<SiluGate>({}, {Operand(type, x), Operand(type, ones)})[0].values();
  auto gelu = run<Gelu>({}, {Operand(type, x)})[0].values();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double wanted = x[i] / (1 + std::exp(-x[i]));
    ASSERT_NEAR(silu[i], wanted, 5e-7 * std::abs(wanted)) << x[i];
    const double a = gelu::kRoot * (x[i] + gelu::kCube * x[i] * x[i] * x[i]);
    ASSERT_NEAR(gelu[i], x[i] / (1 + std::exp(-2 * a)), 3e-7 * std::max(std::abs(x[i]), 1.0));
  }
}

// Two chunks of tokens, one without a target in five, and an accumulator.
void check_cross_entropy(DType dtype, double within) {
  const Dim b{'b', 2}, s{'s', 530}, e{'e', 24}, v{'v', 131};
  const Type tokens(DType::i32, {b, s}), table(DType::f32, {v, e});
  std::vector<Operand> in = {normal(Type(dtype, {b, s, e}), 1), normal(Type(dtype, {v, e}), 2),
                             filled(tokens, Fill::targets, 131, 3),
                             normal(Type(DType::f32, {b, s}), 4)};
  expect_definition<LinearCrossEntropy>({}, in, within);
  in.push_back(normal(table, 5));
  expect_definition<LinearCrossEntropy>({DType::f32, true}, in, within);
}

TEST(CpuKernels, CrossEntropyOverChunksIsTheDefinition) {
  check_cross_entropy(DType::f32, 3e-6);
  check_cross_entropy(DType::bf16, 1e-2);
}

TEST(CpuKernels, CrossEntropyOfTokensWithoutTargetsIsZeroEvenForHugeLogits) {
  const Dim b{'b', 1}, s{'s', 3}, e{'e', 4}, v{'v', 70};
  const Type x(DType::f32, {b, s, e}), w(DType::f32, {v, e});
  auto large = normal_values(12, 1);
  for (double& value : large) value *= 1e4;
  auto out = run<LinearCrossEntropy>(
      {}, {Operand(x, large), normal(w, 2), Operand(Type(DType::i32, {b, s}), {-1, 5, -100}),
           Operand(Type(DType::f32, {b, s}), {1, 0, 1})});
  const auto loss = out[0].values();
  EXPECT_EQ(loss[0], 0);
  EXPECT_GE(loss[1], 0);
  EXPECT_TRUE(std::isfinite(loss[1]));
  EXPECT_EQ(loss[2], 0);
  for (const std::size_t i : {1, 2})
    for (const double gradient : out[i].values()) EXPECT_EQ(gradient, 0);
}

TEST(CpuKernels, VocabularySlicesTakeTheirOwnTargetsOnly) {
  const Dim b{'b', 2}, s{'s', 5}, e{'e', 12}, v{'v', 67};
  const Type tokens(DType::f32, {b, s});
  const std::vector<Operand> in = {
      normal(Type(DType::f32, {b, s, e}), 1), normal(Type(DType::f32, {v, e}), 2),
      Operand(Type(DType::i32, {b, s}), {66, 67, 133, 134, -1, 100, 0, 90, 91, 92})};
  expect_definition<VocabStats>({}, in, 1e-6, {{'v', {67, 67, 67}}});
  auto more = in;
  more.push_back(filled(tokens, Fill::positive, 0, 4));
  more.push_back(normal(tokens, 5));
  more.push_back(normal(tokens, 6));
  expect_definition<VocabStatsGrad>({}, more, 2e-6, {{'v', {67, 67, 67}}});
}

TEST(CpuKernels, EmbeddingGradientsAddRepeatedIdsAndLeaveOtherRanksRows) {
  const Dim b{'b', 1}, s{'s', 6}, e{'e', 300}, v{'v', 20};
  const std::vector<Operand> in = {Operand(Type(DType::i32, {b, s}), {20, 39, 20, 19, 40, 20}),
                                   normal(Type(DType::bf16, {b, s, e}), 1),
                                   normal(Type(DType::f32, {v, e}), 2)};
  expect_definition<EmbeddingGrad>({20, "v", DType::f32, true}, in, 1e-6, {{'v', {20, 20, 20}}});
  expect_definition<EmbeddingGrad>({20}, {in[0], in[1]}, 1e-6, {{'v', {20, 20, 20}}});
}

TEST(CpuKernels, ExactSumsMarkWhatIsNotFinite) {
  auto values = normal_values(10000, 1);
  values[9999] = NAN;
  auto out = run<ExactSum>({true}, {Operand(Type(DType::f32, {{'e', 10000}}), values)});
  std::array<std::int64_t, Digits::kCount> digits;
  std::memcpy(digits.data(), out[0].bytes.data(), sizeof(digits));
  EXPECT_TRUE(std::isnan(Digits::value(digits)));
}

TEST(CpuKernels, AdamWLeavesEverythingAloneWhenTheGradientsAreNotFinite) {
  const Type w(DType::f32, {{'e', 50}});
  const Operand hyper(Type(DType::f32, {{'h', Hyper::kCount}}), {0.1, 0.5, 0.5, 0, 0});
  const Operand clip(Type(DType::f32, {{'y', 2}}), {NAN, NAN});
  std::vector<Operand> in = {
      normal(w, 1), normal(w, 2), normal(w, 3), filled(w, Fill::positive, 0, 4), hyper, clip};
  auto out = run<AdamW>({.weight_decay = 0.1}, in);
  EXPECT_TRUE(out[0].bytes == in[0].bytes);
  EXPECT_TRUE(out[1].bytes == in[2].bytes);
  EXPECT_TRUE(out[2].bytes == in[3].bytes);
}

}  // namespace
}  // namespace autarky
