#include "engine/stimulus/stimuli.hpp"

namespace twinscreen {
namespace {

class CanvasSource final : public StimulusSource {
public:
    CanvasSource(std::unique_ptr<StimulusSource> source, const InputTransform& canvas)
        : source_(std::move(source)), canvas_(canvas)
    {
    }

    std::uint64_t count() const noexcept override { return source_->count(); }
    bool drawn_for_canvas() const noexcept override { return false; }
    Picture draw(ItemId item, const InputTransform&) const override
    {
        return source_->draw(item, canvas_);
    }
    void check(const InputTransform&) const override { source_->check(canvas_); }
    Table describe(ItemRange items) const override { return source_->describe(items); }
    std::string identity() const override
    {
        return fmt::format("on a canvas {}: {}", canvas_.text(), source_->identity());
    }
    std::string summary() const override
    {
        return fmt::format("{}, drawn at {} x {} pixels", source_->summary(), canvas_.height,
                           canvas_.width);
    }

private:
    std::unique_ptr<StimulusSource> source_;
    InputTransform canvas_;
};

}  // namespace

std::unique_ptr<StimulusSource> on_canvas(std::unique_ptr<StimulusSource> source,
                                          const InputTransform& canvas)
{
    return std::make_unique<CanvasSource>(std::move(source), canvas);
}

}  // namespace twinscreen
