// A stage of a pipeline takes from a checkpoint what it has.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "unit/train/checkpoint_fixture.h"

namespace autarky {
namespace {

// Unlike in every value of every parameter.
float first_value(StatePart part, const ParameterSpec& spec, std::int64_t layer) {
  return float(std::hash<std::string>()(spec.name) % 1000 * 6 + std::size_t(layer + 1) * 2) +
         float(part == StatePart::weight ? 0
               : part == StatePart::m    ? 0.25
                                         : 0.5);
}

TEST(CheckpointPart, GivesWhatIsWantedAlone) {
  const ScratchFolder folder;
  CheckpointWriter writer({folder.path(), 1, ""}, tiny_gpt2());
  TrainState state;
  state.step = 1;
  writer.start(
      [](StatePart part, const ParameterSpec& spec, std::int64_t layer, std::span<float> values) {
        std::iota(values.begin(), values.end(), first_value(part, spec, layer));
      },
      state);
  writer.wait();

  // All of layer 1 but the weights of its keys, of which the moments.
  const auto wanted = [](StatePart part, const ParameterSpec& spec, std::int64_t layer) {
    const bool keys = spec.name.find("attn.k.") != spec.name.npos;
    return layer == 1 && (part == StatePart::weight) != keys;
  };
  int given = 0;
  load_checkpoint(
      folder / "latest", tiny_gpt2(),
      [&](StatePart part, const ParameterSpec& spec, std::int64_t layer,
          std::span<const float> values) {
        ++given;
        EXPECT_TRUE(wanted(part, spec, layer)) << spec.name;
        std::vector<float> expected(std::size_t(spec.count()));
        std::iota(expected.begin(), expected.end(), first_value(part, spec, layer));
        EXPECT_TRUE(std::equal(values.begin(), values.end(), expected.begin(), expected.end()))
            << spec.name;
      },
      wanted);
  EXPECT_EQ(given, 14 + 2 * 2);
}

}  // namespace
}  // namespace autarky
