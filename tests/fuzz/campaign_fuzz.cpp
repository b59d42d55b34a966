#include <cmath>

#include "engine/run/campaign.hpp"
#include "experiments/experiments.hpp"
#include "kernels/runtime.hpp"
#include "tests/fuzz/input_file.hpp"

namespace {

using namespace twinscreen;

/// Everything but running: what `check` does, and the first and the last stimulus.
void read_campaign(const std::string& text)
{
    static const KernelRuntime kernels;
    static const ExperimentRegistry registry = known_experiments();
    try {
        const Campaign campaign =
            load_campaign({text, "campaign.toml", fuzz::workplace(), {}}, registry);
        const StimulusSource& stimuli = *campaign.stimuli;
        static_cast<void>(stimuli.identity());
        static_cast<void>(stimuli.summary());
        static_cast<void>(stimuli.describe({ItemId{stimuli.count() - 1}, 1}));
        InputTransform canvas;
        canvas.height = canvas.width = 16;
        canvas.degrees_per_pixel = 0.5;
        stimuli.check(canvas);
        static_cast<void>(stimuli.draw(ItemId{0}, canvas));
        static_cast<void>(stimuli.draw(ItemId{stimuli.count() - 1}, canvas));
    } catch (const Error&) {  // what a bad campaign has to give
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    // Paths must stay in the workplace, whose files are small: '/' may also be written \u002f.
    for (const char* part : {"/", "\\u", "\\U", "${"})
        if (text.find(part) != std::string::npos) return 0;
    read_campaign(text);
    return 0;
}
