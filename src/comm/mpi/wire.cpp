#include "comm/mpi/wire.h"

#include <fmt/core.h>

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace autarky::mpi {
namespace {

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(fmt::format("{} failed: {}", what, std::string_view(text, std::size_t(length))));
}

// Open MPI has tags up to 2^31 - 1, others fewer.
int tag_bits_of_world() {
  int* bound = nullptr;
  int found = 0;
  check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &bound, &found), "MPI_Comm_get_attr");
  const unsigned highest = found ? unsigned(*bound) : 32767u;
  return std::bit_width(highest + 1) - 1;
}

// Open MPI reads other ranks' memory directly, and fails in containers that forbid it. The same
// call on this process' own memory is forbidden there too.
void without_single_copy_where_forbidden() {
  char from = 1, to = 0;
  const iovec local{&to, 1}, remote{&from, 1};
  if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) != 1)
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
}

}  // namespace

// By the same index: what MPI knows, and what to do at its end.
struct Wire::Posted {
  std::vector<MPI_Request> requests;
  std::vector<Done> done;
  std::vector<int> indices;
  std::vector<MPI_Status> statuses;

  void add(MPI_Request request, Done what) {
    requests.push_back(request);
    done.push_back(std::move(what));
  }
  void remove(std::size_t i) {
    requests[i] = requests.back();
    done[i] = std::move(done.back());
    requests.pop_back();
    done.pop_back();
  }
};

Wire::Wire() : posted_(std::make_unique<Posted>()) {
  int provided = 0;
  without_single_copy_where_forbidden();
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED)
    throw Error("this MPI does not let a thread of its own use it")
        .hint("Install a build of MPI with MPI_THREAD_FUNNELED");
  check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  char name[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  check(MPI_Get_processor_name(name, &length), "MPI_Get_processor_name");
  node_.assign(name, std::size_t(length));
  tag_bits_ = tag_bits_of_world();
}

Wire::~Wire() = default;

void Wire::send(int to, int tag, std::span<const std::byte> bytes, Done done) {
  MPI_Request request;
  check(MPI_Isend(bytes.data(), int(bytes.size()), MPI_BYTE, to, tag, MPI_COMM_WORLD, &request),
        "MPI_Isend");
  posted_->add(request, std::move(done));
}

void Wire::receive(int from, int tag, std::span<std::byte> bytes, Done done) {
  MPI_Request request;
  check(MPI_Irecv(bytes.data(), int(bytes.size()), MPI_BYTE,
                  from == kAnyone ? MPI_ANY_SOURCE : from, tag, MPI_COMM_WORLD, &request),
        "MPI_Irecv");
  posted_->add(request, std::move(done));
}

std::size_t Wire::poll() {
  Posted& p = *posted_;
  p.indices.resize(p.requests.size());
  p.statuses.resize(p.requests.size());
  int count = 0;
  const int code = MPI_Testsome(int(p.requests.size()), p.requests.data(), &count, p.indices.data(),
                                p.statuses.data());
  if (code == MPI_ERR_IN_STATUS)
    for (int i = 0; i < count; ++i) check(p.statuses[std::size_t(i)].MPI_ERROR, "a message");
  check(code, "MPI_Testsome");
  if (count <= 0 || count == MPI_UNDEFINED) return 0;
  // What is done may post anew, so it is called when the lists are in order again.
  std::vector<std::pair<Done, std::size_t>> complete;
  for (int i = 0; i < count; ++i) {
    int bytes = 0;
    MPI_Get_count(&p.statuses[std::size_t(i)], MPI_BYTE, &bytes);
    complete.emplace_back(std::move(p.done[std::size_t(p.indices[std::size_t(i)])]),
                          std::size_t(std::max(bytes, 0)));
  }
  std::sort(p.indices.begin(), p.indices.begin() + count, std::greater<>());
  for (int i = 0; i < count; ++i) p.remove(std::size_t(p.indices[std::size_t(i)]));
  for (auto& [done, bytes] : complete) done(bytes);
  return complete.size();
}

void Wire::finalize() {
  for (auto& request : posted_->requests) {
    MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
  check(MPI_Finalize(), "MPI_Finalize");
}

}  // namespace autarky::mpi
