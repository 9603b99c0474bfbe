// Memory of the host: one mapping, huge pages where the system gives them, touched at once so that
// what was planned is what is used.
#pragma once
#include "backend/backend.h"

namespace autarky {

std::unique_ptr<Memory> allocate_host(std::int64_t bytes);

}  // namespace autarky
