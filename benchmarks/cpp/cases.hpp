// Each file of cases registers its own.
#pragma once

namespace inntd::bench {

void register_basis();
void register_evaluate();
void register_banded();
void register_alternating();

}  // namespace inntd::bench
