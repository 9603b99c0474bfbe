// What make_model_golden.py wrote for one family.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/json.h"
#include "models/config.h"

namespace autarky {

constexpr std::int64_t kRows = 4, kSeq = 16;  // of its batch

// Parameter values by buffer_name.
using Weights = std::map<std::string, std::vector<float>>;

struct Golden {
  ModelConfig config;
  Weights initial, gradients, final;
  std::vector<float> logits;  // of the initial weights, [rows seq vocab]
  Json run;
};

Golden read_golden(const std::string& family);

}  // namespace autarky
