// Token files for tests.
#pragma once
#include <span>
#include <vector>

#include "formats/megatron_index.h"
#include "unit/formats/scratch_folder.h"

namespace autarky {

using Tokens = std::vector<std::int32_t>;

inline void write_shards(const fs::path& prefix, const std::vector<Tokens>& documents,
                         std::int64_t vocab_size) {
  MegatronWriter writer(prefix, vocab_size);
  for (const auto& document : documents) writer.add_document(document);
  writer.seal();
  writer.publish();
}

inline std::vector<Tokens> read_shards(const fs::path& prefix) {
  const MegatronDataset data(prefix);
  std::vector<Tokens> documents;
  for (std::int64_t d = 0; d < data.document_count(); ++d) {
    documents.emplace_back(std::size_t(data.document_size(d)));
    data.read_document(d, 0, documents.back());
  }
  return documents;
}

}  // namespace autarky
