#include "inntd/kernels.hpp"
