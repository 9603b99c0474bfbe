#include "data/inspect.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "formats/megatron_index.h"

namespace autarky {
namespace {

struct IdRange {
  std::int32_t least = std::numeric_limits<std::int32_t>::max();
  std::int32_t greatest = std::numeric_limits<std::int32_t>::min();
};

void extend(IdRange& range, const MegatronDataset& data, std::int64_t document) {
  std::array<std::int32_t, 4096> part;
  const auto size = data.document_size(document);
  for (std::int64_t done = 0; done < size;) {
    const auto tokens =
        std::span(part).first(std::size_t(std::min(size - done, std::int64_t(part.size()))));
    data.read_document(document, done, tokens);
    const auto [least, greatest] = std::minmax_element(tokens.begin(), tokens.end());
    range.least = std::min(range.least, *least);
    range.greatest = std::max(range.greatest, *greatest);
    done += std::int64_t(tokens.size());
  }
}

std::vector<std::int32_t> start_of(const MegatronDataset& data, std::int64_t document,
                                   std::int64_t tokens) {
  std::vector<std::int32_t> start(std::size_t(std::min(tokens, data.document_size(document))));
  data.read_document(document, 0, start);
  return start;
}

}  // namespace

ShardReport inspect_shards(const fs::path& prefix, std::int64_t first, std::int64_t tokens_each) {
  const MegatronDataset data(prefix);
  ShardReport report;
  report.dtype = data.dtype();
  report.documents = data.document_count();
  report.sequences = data.sequence_count();
  report.tokens = data.token_count();
  report.bytes = data.byte_count();
  IdRange ids;
  for (std::int64_t d = 0; d < report.documents; ++d) {
    const auto size = data.document_size(d);
    report.shortest_document = d == 0 ? size : std::min(report.shortest_document, size);
    report.longest_document = std::max(report.longest_document, size);
    extend(ids, data, d);
  }
  if (report.documents > 0) report.mean_document = double(report.tokens) / double(report.documents);
  if (report.tokens > 0) report.min_token = ids.least, report.max_token = ids.greatest;
  for (std::int64_t d = 0; d < std::min(first, report.documents); ++d)
    report.first_documents.push_back(start_of(data, d, std::max<std::int64_t>(tokens_each, 0)));
  return report;
}

}  // namespace autarky
