#include "torus/engine/programs.h"

namespace rse {

std::span<const Program* const> all_programs() {
  static const Program* const programs[] = {&relay_program(), &phold_program(), &counter_program(),
                                            &wave_program(), &churn_program()};
  return programs;
}

const Program* find_program(std::string_view name) {
  for (const Program* program : all_programs()) {
    if (program->name() == name) return program;
  }
  return nullptr;
}

}  // namespace rse
