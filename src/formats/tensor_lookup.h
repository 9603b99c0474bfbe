// Finding a tensor of a file by its name, with the nearest name where there is none.
#pragma once
#include <fmt/core.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/words.h"

namespace autarky {

// InputError, at `path`, if there is no such tensor.
template <typename Tensor>
const Tensor& find_tensor(const std::map<std::string, Tensor>& tensors, const std::string& name,
                          const fs::path& path) {
  if (const auto it = tensors.find(name); it != tensors.end()) return it->second;
  InputError error(fmt::format("there is no tensor '{}'", name));
  error.at(path.string());
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  if (const auto nearest = nearest_name(name, names); !nearest.empty())
    error.hint(fmt::format("the nearest is '{}'", nearest));
  throw error;
}

}  // namespace autarky
