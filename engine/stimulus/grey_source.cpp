#include "engine/stimulus/stimuli.hpp"

namespace twinscreen {
namespace {

class GreySource final : public StimulusSource {
public:
    explicit GreySource(std::unique_ptr<StimulusSource> source) : source_(std::move(source)) {}

    std::uint64_t count() const noexcept override { return source_->count(); }
    bool drawn_for_canvas() const noexcept override { return source_->drawn_for_canvas(); }
    Picture draw(ItemId item, const InputTransform& canvas) const override
    {
        Picture picture = source_->draw(item, canvas);
        return picture.channels == 3 ? to_grey(picture) : std::move(picture);
    }
    void check(const InputTransform& canvas) const override { source_->check(canvas); }
    Table describe(ItemRange items) const override { return source_->describe(items); }
    std::string identity() const override { return "grey " + source_->identity(); }
    std::string summary() const override { return source_->summary() + ", in grey"; }

private:
    std::unique_ptr<StimulusSource> source_;
};

}  // namespace

std::unique_ptr<StimulusSource> in_grey(std::unique_ptr<StimulusSource> source)
{
    return std::make_unique<GreySource>(std::move(source));
}

}  // namespace twinscreen
