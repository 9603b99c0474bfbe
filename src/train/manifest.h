// manifest.json of a checkpoint: bytes and xxh3 of every other file in its folder, so that a file
// that was cut or changed is found before anything of it is used.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/safetensors_writer.h"

namespace autarky {

// Writes `content` whole and synced.
WrittenFile write_listed_file(const fs::path& path, std::string_view content);

// {"format": 1, "step": N, "files": {name: {"bytes": n, "xxh3": "16 hex digits"}}}
void write_manifest(const fs::path& folder, std::int64_t step,
                    const std::vector<WrittenFile>& files);

// Reads all files that the manifest lists. InputError, saying which file and how, if one is
// missing, has another size or other bytes, or if the manifest itself is unusable or of another
// step.
void verify_manifest(const fs::path& folder, std::int64_t step);

}  // namespace autarky
