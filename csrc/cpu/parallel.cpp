#include "inntd/parallel.hpp"

namespace inntd {

void parallel_for(std::int64_t count, std::int64_t, int,
                  const std::function<void(std::int64_t, std::int64_t, int)>& body) {
  if (count > 0) body(0, count, 0);
}

}  // namespace inntd
