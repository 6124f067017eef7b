// Chooses the kernels' instruction set at run time.
#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "inntd/kernels.hpp"

namespace inntd {

extern const KernelTable kernel_table_base;
#ifdef INNTD_HAVE_v3
extern const KernelTable kernel_table_v3;
#endif
#ifdef INNTD_HAVE_v4
extern const KernelTable kernel_table_v4;
#endif

namespace {

std::vector<const KernelTable*> runnable_tables() {
  std::vector<const KernelTable*> tables = {&kernel_table_base};
#ifdef INNTD_HAVE_v3
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v3")) tables.push_back(&kernel_table_v3);
#endif
#ifdef INNTD_HAVE_v4
  if (__builtin_cpu_supports("x86-64-v4")) tables.push_back(&kernel_table_v4);
#endif
  return tables;
}

const KernelTable* find_table(const std::string& name) {
  std::string known;
  for (const KernelTable* table : runnable_tables()) {
    if (name == table->name) return table;
    known += known.empty() ? table->name : std::string(", ") + table->name;
  }
  throw std::invalid_argument("instruction set must be one of " + known + " on this machine, got '" + name + "'");
}

const KernelTable* initial_table() {
  const char* wish = std::getenv("INNTD_ISA");
  return wish != nullptr && *wish != '\0' ? find_table(wish) : runnable_tables().back();
}

std::atomic<const KernelTable*>& current_table() {
  static std::atomic<const KernelTable*> table{initial_table()};
  return table;
}

}  // namespace

const KernelTable& kernels() { return *current_table().load(std::memory_order_relaxed); }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : runnable_tables()) names.emplace_back(table->name);
  return names;
}

void select_isa(const std::string& name) { current_table().store(find_table(name)); }

}  // namespace inntd
