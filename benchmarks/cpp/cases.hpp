// Each file of cases registers its own.
#pragma once

namespace inntd::bench {

void register_basis();
void register_evaluate();
void register_banded();
void register_alternating();
void register_tucker();
void register_training();

}  // namespace inntd::bench
