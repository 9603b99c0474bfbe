#include "backend/cpu/cpu_backend.h"
#include "backend/reference/reference.h"
#include "conformance/suite.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  autarky::Backends backends;
  backends.push_back(autarky::make_reference_backend());
  backends.push_back(autarky::make_cpu_backend());
  autarky::register_forward_tests(backends);
  autarky::register_gradient_tests();
  autarky::register_sharding_tests();
  autarky::register_kernel_table(backends);
  return RUN_ALL_TESTS();
}
