#include "data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "unit/data/shards.h"

namespace autarky {
namespace {

constexpr std::int64_t kVocab = 100000;

// Documents of the given lengths; every token id occurs once, ids rise through the file.
std::vector<Tokens> numbered(const std::vector<int>& lengths, std::int32_t first = 0) {
  std::vector<Tokens> documents;
  for (const int length : lengths) {
    documents.emplace_back();
    for (int i = 0; i < length; ++i) documents.back().push_back(first++);
  }
  return documents;
}

std::vector<int> many_lengths() {
  std::vector<int> lengths;
  for (int d = 0; d < 300; ++d) lengths.push_back(d * 7919 % 41);  // some are empty
  return lengths;
}

Batch read_training(const fs::path& prefix, std::int64_t s, std::uint64_t seed, std::int64_t first,
                    std::int64_t count) {
  const std::vector<WeightedPrefix> prefixes{{prefix, {}}};
  TrainingSet set(prefixes, {s, kVocab, seed});
  Batch batch;
  set.read(first, count, batch);
  return batch;
}

TEST(Packing, BoundariesAreMarkedAsByHand) {
  const ScratchFolder folder;
  write_shards(folder / "x", {{10, 11, 12}, {}, {20}, {30, 31, 32, 33}}, kVocab);
  const MegatronDataset data(folder / "x");
  const PackedDocuments packed(data, {}, kVocab);
  Batch batch;
  batch.resize(1, 4);
  EXPECT_EQ(packed.read(1, batch.row(0, 4)), 2);
  EXPECT_EQ(batch.tokens, (Tokens{11, 12, 20, 30}));
  EXPECT_EQ(batch.targets, (Tokens{12, -1, -1, 31}));  // the last one lies beyond the window
  EXPECT_EQ(batch.positions, (Tokens{0, 1, 0, 0}));
  EXPECT_EQ(batch.segments, (Tokens{0, 0, 1, 2}));
  EXPECT_EQ(packed.read(0, batch.row(0, 4)), 2);
  EXPECT_EQ(batch.targets, (Tokens{11, 12, -1, -1}));  // ends where a document ends
  EXPECT_EQ(packed.read(5, batch.row(0, 4)), 2);
  EXPECT_EQ(batch.tokens, (Tokens{31, 32, 33, 0}));  // padded
  EXPECT_EQ(batch.targets, (Tokens{32, 33, -1, -1}));
  EXPECT_EQ(batch.positions, (Tokens{0, 1, 2, 0}));
  EXPECT_EQ(batch.segments, (Tokens{0, 0, 0, 1}));
}

TEST(TrainingSet, AnEpochHoldsEveryTokenAtMostOnceAndAllButTheLastPart) {
  const ScratchFolder folder;
  const auto documents = numbered(many_lengths());
  write_shards(folder / "x", documents, kVocab);
  std::int64_t tokens = 0;
  for (const auto& document : documents) tokens += std::int64_t(document.size());
  const std::int64_t s = 13, samples = (tokens - 1) / s;
  for (const std::int64_t epoch : {0, 1}) {
    const auto batch = read_training(folder / "x", s, 3, epoch * samples, samples);
    const std::set<std::int32_t> seen(batch.tokens.begin(), batch.tokens.end());
    EXPECT_EQ(std::int64_t(seen.size()), samples * s);
    EXPECT_GE(*seen.begin(), 0);
    EXPECT_LT(*seen.rbegin(), tokens);
  }
}

TEST(TrainingSet, EveryTargetIsTheNextTokenOfItsDocument) {
  const ScratchFolder folder;
  const auto documents = numbered(many_lengths());
  write_shards(folder / "x", documents, kVocab);
  std::map<std::int32_t, std::int32_t> next;
  for (const auto& document : documents)
    for (std::size_t i = 0; i < document.size(); ++i)
      next[document[i]] = i + 1 < document.size() ? document[i + 1] : -1;
  const auto batch = read_training(folder / "x", 13, 3, 0, 400);
  for (std::size_t i = 0; i < batch.tokens.size(); ++i)
    ASSERT_EQ(batch.targets[i], next.at(batch.tokens[i])) << i;
  EXPECT_EQ(batch.target_count, std::count_if(batch.targets.begin(), batch.targets.end(),
                                              [](auto t) { return t >= 0; }));
}

TEST(TrainingSet, SegmentsAndPositionsStartAnewWithEachDocument) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered(many_lengths()), kVocab);
  const std::int64_t s = 50;
  const auto batch = read_training(folder / "x", s, 3, 0, 60);
  for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
    const bool window_starts = std::int64_t(i) % s == 0;
    const bool document_starts = window_starts || batch.targets[i - 1] == -1;
    ASSERT_EQ(batch.positions[i], document_starts ? 0 : batch.positions[i - 1] + 1) << i;
    ASSERT_EQ(batch.segments[i],
              window_starts ? 0 : batch.segments[i - 1] + (document_starts ? 1 : 0))
        << i;
  }
}

TEST(TrainingSet, ASampleDependsOnTheSeedAndItsNumberAlone) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered(many_lengths()), kVocab);
  write_shards(folder / "y", numbered(many_lengths(), 50000), kVocab);
  const std::vector<WeightedPrefix> prefixes{{folder / "x", 0.6}, {folder / "y", 0.4}};
  const SampleOptions options{16, kVocab, 9};
  TrainingSet whole(prefixes, options), resumed(prefixes, options),
      other(prefixes, {16, kVocab, 8});
  Batch all, part;
  whole.read(0, 3000, all);  // several epochs of both
  for (const std::int64_t first : {2990, 40, 1234, 0}) {
    resumed.read(first, 8, part);
    EXPECT_TRUE(std::equal(part.tokens.begin(), part.tokens.end(),
                           all.tokens.begin() + std::ptrdiff_t(first * 16)))
        << first;
  }
  other.read(0, 8, part);
  EXPECT_FALSE(std::equal(part.tokens.begin(), part.tokens.end(), all.tokens.begin()));
}

TEST(TrainingSet, EpochsDiffer) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered(std::vector<int>(100, 10)), kVocab);
  const std::int64_t samples = 999 / 10;
  EXPECT_NE(read_training(folder / "x", 10, 3, 0, samples).tokens,
            read_training(folder / "x", 10, 3, samples, samples).tokens);
}

TEST(TrainingSet, SourcesOfABlendWithEqualContentAreShuffledApart) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered(std::vector<int>(100, 10)), kVocab);
  const std::vector<WeightedPrefix> twice{{folder / "x", {}}, {folder / "x", {}}};
  TrainingSet set(twice, {10, kVocab, 1});
  Batch batch;
  set.read(0, 100, batch);
  const std::set<std::int32_t> seen(batch.tokens.begin(), batch.tokens.end());
  EXPECT_GT(seen.size(), 600u);  // 500 if both halves saw the same
  EXPECT_EQ(set.token_count(), 2000);
}

TEST(TrainingSet, ABlendHasTheSharesOfItsWeightsOrOfItsTokens) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered({300}), kVocab);
  write_shards(folder / "y", numbered({700}, 50000), kVocab);
  const auto samples_of_x = [&](std::optional<double> x, std::optional<double> y) {
    const std::vector<WeightedPrefix> prefixes{{folder / "x", x}, {folder / "y", y}};
    TrainingSet set(prefixes, {4, kVocab, 1});
    Batch batch;
    set.read(0, 1000, batch);
    return std::count_if(batch.tokens.begin(), batch.tokens.end(),
                         [](auto t) { return t < 50000; }) /
           4.0;
  };
  EXPECT_NEAR(samples_of_x({}, {}), 300, 1);
  EXPECT_NEAR(samples_of_x(3.0, 1.0), 750, 1);
  EXPECT_TRUE(contains(input_error_of([&] { samples_of_x(3.0, {}); }), "found 1 weights"));
}

// Blends of three sources that change at samples 0, 100 and 250; 300 samples in all.
class ChangingBlend : public ::testing::Test {
 protected:
  void SetUp() override {
    write_shards(folder_ / "x", numbered(std::vector<int>(100, 10)), kVocab);
    write_shards(folder_ / "y", numbered(std::vector<int>(200, 10), 10000), kVocab);
    write_shards(folder_ / "z", numbered(std::vector<int>(60, 10), 20000), kVocab);
    blends_ = {{{folder_ / "x", 3.0}, {folder_ / "y", 1.0}},
               {{folder_ / "z", 1.0}, {folder_ / "x", 1.0}},
               {{folder_ / "y", 0.7}, {folder_ / "z", 0.2}, {folder_ / "x", 0.1}}};
  }
  const std::vector<WeightedPrefix>& blend_at(std::int64_t sample) const {
    return blends_[sample < 100 ? 0 : sample < 250 ? 1 : 2];
  }
  // Samples [first, end) in steps of 10, saved and restored before each that is in `stops`.
  Tokens tokens(const std::set<std::int64_t>& stops, DataState* last = nullptr) const {
    std::optional<TrainingSet> set(std::in_place, blend_at(0), kOptions);
    Tokens all;
    Batch batch;
    for (std::int64_t i = 0; i < 300; i += 10) {
      if (stops.contains(i)) {
        const auto state = data_state(to_json(set->state(i)), "state");
        set.emplace(blend_at(i), kOptions, state);
      }
      EXPECT_EQ(set->change(i, blend_at(i)), i == 100 || i == 250) << i;
      set->read(i, 10, batch);
      all.insert(all.end(), batch.tokens.begin(), batch.tokens.end());
    }
    if (last) *last = set->state(300);
    return all;
  }

  static constexpr SampleOptions kOptions{10, kVocab, 5};
  ScratchFolder folder_;
  std::vector<std::vector<WeightedPrefix>> blends_;
};

TEST_F(ChangingBlend, RepeatsNothingAndLeavesNothingOut) {
  const auto all = tokens({});
  // x: 75 + 75 + 5, y: 25 + 35, z: 75 + 10 samples. x has 99 an epoch, y 199, z 59.
  std::map<std::int32_t, int> seen;
  for (const auto token : all) ++seen[token];
  std::map<std::int32_t, std::map<int, int>> tokens_seen_so_often;
  for (const auto& [token, times] : seen) ++tokens_seen_so_often[token / 10000][times];
  EXPECT_EQ(tokens_seen_so_often[1], (std::map<int, int>{{1, 600}}));
  const auto total = [&](int source) {
    int sum = 0;
    for (const auto& [times, count] : tokens_seen_so_often[source]) {
      EXPECT_LE(times, 2);
      sum += times * count;
    }
    return sum;
  };
  EXPECT_EQ(total(0), 1550);
  EXPECT_EQ(total(2), 850);
  // An epoch leaves out the last, incomplete window: so 990 of 1000 tokens come a first time.
  EXPECT_GE(tokens_seen_so_often[0][1] + tokens_seen_so_often[0][2], 990);
}

TEST_F(ChangingBlend, CountsWhatEachSourceGave) {
  DataState state;
  tokens({}, &state);
  ASSERT_EQ(state.sources.size(), 3u);
  EXPECT_EQ(state.blend_start, 250);
  EXPECT_EQ(state.samples(), 300);
  const std::int64_t samples[] = {155, 60, 85}, before[] = {150, 25, 75};
  const double per_epoch[] = {99, 199, 59}, weights[] = {0.1, 0.7, 0.2};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(state.sources[i].prefix, blends_[2][i == 0 ? 2 : i - 1].prefix.string());
    EXPECT_EQ(state.sources[i].samples, samples[i]) << i;
    EXPECT_EQ(state.sources[i].before, before[i]) << i;
    EXPECT_EQ(state.sources[i].tokens, samples[i] * 10) << i;
    EXPECT_DOUBLE_EQ(state.sources[i].epochs, double(samples[i]) / per_epoch[i]) << i;
    EXPECT_EQ(state.sources[i].weight, weights[i]) << i;
  }
}

TEST_F(ChangingBlend, GoesOnBitForBitFromItsState) {
  const auto whole = tokens({});
  EXPECT_EQ(tokens({50}), whole);
  EXPECT_EQ(tokens({100}), whole);
  EXPECT_EQ(tokens({10, 90, 110, 120, 240, 250, 290}), whole);
}

TEST_F(ChangingBlend, AnotherOrderOrScaleOfTheSameBlendIsNoChange) {
  TrainingSet set(blends_[0], kOptions);
  EXPECT_FALSE(
      set.change(10, std::vector<WeightedPrefix>{{folder_ / "y", 2.0}, {folder_ / "./x", 6.0}}));
  EXPECT_TRUE(
      set.change(10, std::vector<WeightedPrefix>{{folder_ / "y", 2.0}, {folder_ / "x", 5.0}}));
}

TEST_F(ChangingBlend, MovedFilesAreKnownByTheirContentAndChangedOnesRefused) {
  TrainingSet first(blends_[0], kOptions);
  const auto state = first.state(40);
  const auto rename = [&](const std::string& from, const std::string& to) {
    for (const char* ending : {".bin", ".idx"})
      fs::rename(folder_ / (from + ending), folder_ / (to + ending));
  };
  rename("x", "elsewhere");
  const std::vector<WeightedPrefix> moved{{folder_ / "elsewhere", 3.0}, {folder_ / "y", 1.0}};
  TrainingSet second(moved, kOptions, state);
  EXPECT_FALSE(second.change(40, moved));
  Batch expected, batch;
  first.read(40, 30, expected);
  second.read(40, 30, batch);
  EXPECT_EQ(batch.tokens, expected.tokens);
  rename("z", "x");
  const auto error = input_error_of([&] { TrainingSet(blends_[0], kOptions, state); });
  EXPECT_TRUE(contains(error, "x: the token files are not those that the run was trained on"))
      << error;
  EXPECT_TRUE(contains(error, "another prefix")) << error;
}

TEST(DataState, WhatIsNoStateIsNamed) {
  const DataState state{30, {{"a", "00", 1, 30, 50, 500, 0.5}, {"b", "01", 0, 0, 0, 0, 0}}};
  const Json good = to_json(state);
  EXPECT_EQ(data_state(good, "f"), state);
  const auto error = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    return input_error_of([&] { data_state(bad, "f"); });
  };
  EXPECT_TRUE(contains(error("/sources/0/samples", -1),
                       "f: no usable 'samples' in 'data'; found -1, wanted a whole number from 0"));
  EXPECT_TRUE(contains(error("/sources/0/samples", std::uint64_t(1) << 60), "'samples'"));
  EXPECT_TRUE(contains(error("/sources/0/samples", 10), "'before'"));
  EXPECT_TRUE(contains(error("/sources/1/weight", "x"), "'weight'"));
  EXPECT_TRUE(contains(error("/sources/1/prefix", 3), "'prefix'"));
  EXPECT_TRUE(contains(error("/blend_start", 29), "do not add up"));
  EXPECT_TRUE(contains(error("/sources", 3), "'sources'"));
  EXPECT_TRUE(contains(input_error_of([&] { data_state(3, "f"); }), "'blend_start'"));
}

TEST(TrainingSet, ErrorsSayNumbersAndWhatToDo) {
  const ScratchFolder folder;
  write_shards(folder / "x", numbered({4, 4}), kVocab);
  const auto short_data = input_error_of([&] { read_training(folder / "x", 8, 0, 0, 1); });
  EXPECT_TRUE(contains(short_data, "found 8 tokens, wanted 9 or more")) << short_data;
  EXPECT_TRUE(contains(short_data, "seq_length"));
  EXPECT_EQ(read_training(folder / "x", 7, 0, 5, 1).tokens.size(), 7u);
  EXPECT_TRUE(
      contains(input_error_of([&] { read_training(folder / "no", 8, 0, 0, 1); }), "no.idx"));
  EXPECT_FALSE(input_error_of([&] { read_training(folder / "x", 0, 0, 0, 1); }).empty());
  EXPECT_FALSE(input_error_of([&] { TrainingSet({}, {8, kVocab, 0}); }).empty());
  const std::vector<WeightedPrefix> prefixes{{folder / "x", {}}};
  TrainingSet small_model(prefixes, {7, 5, 0});
  Batch batch;
  const auto outside = input_error_of([&] { small_model.read(0, 1, batch); });
  EXPECT_TRUE(contains(outside, "outside the model's vocabulary")) << outside;
  EXPECT_TRUE(contains(outside, "wanted 0 to 4")) << outside;
}

TEST(ValidationSet, ReadsAllWindowsInOrderAndPadsTheLast) {
  const ScratchFolder folder;
  write_shards(folder / "x", {{1, 2, 3, 4, 5}, {6, 7}}, kVocab);
  write_shards(folder / "y", {{8, 9, 10}}, kVocab);
  const std::vector<WeightedPrefix> prefixes{{folder / "x", {}}, {folder / "y", 2.0}};
  const ValidationSet set(prefixes, {3, kVocab, 0});
  ASSERT_EQ(set.sample_count(), 3);  // token 7 alone would predict nothing
  Batch batch;
  set.read(0, 4, batch);
  EXPECT_EQ(batch.tokens, (Tokens{1, 2, 3, 4, 5, 6, 8, 9, 10, 0, 0, 0}));
  EXPECT_EQ(batch.targets, (Tokens{2, 3, 4, 5, -1, 7, 9, 10, -1, -1, -1, -1}));
  EXPECT_EQ(batch.segments, (Tokens{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(batch.positions, (Tokens{0, 1, 2, 0, 1, 0, 0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(batch.target_count, 7);
}

TEST(ValidationSet, MayBeShorterThanOneWindow) {
  const ScratchFolder folder;
  write_shards(folder / "x", {{1, 2}}, kVocab);
  const std::vector<WeightedPrefix> prefixes{{folder / "x", {}}};
  const ValidationSet set(prefixes, {4, kVocab, 0});
  EXPECT_EQ(set.sample_count(), 1);
  Batch batch;
  set.read(0, 1, batch);
  EXPECT_EQ(batch.tokens, (Tokens{1, 2, 0, 0}));
  EXPECT_EQ(batch.target_count, 1);
  write_shards(folder / "y", {{1}}, kVocab);
  const std::vector<WeightedPrefix> lonely{{folder / "y", {}}};
  EXPECT_TRUE(contains(input_error_of([&] {
                         ValidationSet(lonely, {4, kVocab, 0});
                       }),
                       "no token to predict"));
}

}  // namespace
}  // namespace autarky
