#include "experiments/experiments.hpp"

namespace twinscreen {

ExperimentRegistry known_experiments()
{
    ExperimentRegistry registry;
    register_screen(registry);
    register_encoding_score(registry);
    return registry;
}

}  // namespace twinscreen
