#include "experiments/experiments.hpp"

namespace twinscreen {

ExperimentRegistry known_experiments()
{
    ExperimentRegistry registry;
    register_screen(registry);
    register_encoding_score(registry);
    register_fit_readout(registry);
    register_relational_control(registry);
    register_control_session(registry);
    register_control_accuracy(registry);
    return registry;
}

}  // namespace twinscreen
