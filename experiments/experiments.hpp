#pragma once

#include "engine/run/experiment.hpp"

namespace twinscreen {

/// The analyses of this build. A new one costs one file here, one line in experiments.cpp and one
/// test.
ExperimentRegistry known_experiments();

void register_screen(ExperimentRegistry& registry);
void register_encoding_score(ExperimentRegistry& registry);
void register_fit_readout(ExperimentRegistry& registry);
void register_relational_control(ExperimentRegistry& registry);
void register_control_session(ExperimentRegistry& registry);
void register_control_accuracy(ExperimentRegistry& registry);

}  // namespace twinscreen
