#include "engine/stimulus/stimuli.hpp"

namespace twinscreen {
namespace {

class NoStimuli final : public StimulusSource {
public:
    std::uint64_t count() const noexcept override { return 0; }
    bool drawn_for_canvas() const noexcept override { return false; }
    Picture draw(ItemId, const InputTransform&) const override
    {
        throw Error(Error::Kind::internal, "the campaign has no stimuli to draw");
    }
    void check(const InputTransform&) const override {}
    Table describe(ItemRange) const override { return {}; }
    std::string identity() const override { return "none"; }
    std::string summary() const override { return "no stimuli"; }
};

}  // namespace

std::unique_ptr<StimulusSource> no_stimuli() { return std::make_unique<NoStimuli>(); }

}  // namespace twinscreen
