#include <array>
#include <cmath>

#include "engine/stimulus/stimuli.hpp"

namespace twinscreen {
namespace {

constexpr double white = 255.0;

double square_root(double level) { return white * std::sqrt(level / white); }

class SquareRootSource final : public StimulusSource {
public:
    explicit SquareRootSource(std::unique_ptr<StimulusSource> source) : source_(std::move(source))
    {
        for (std::size_t level = 0; level < levels_.size(); ++level)
            levels_[level] = static_cast<std::uint8_t>(square_root(static_cast<double>(level)));
    }

    std::uint64_t count() const noexcept override { return source_->count(); }
    bool drawn_for_canvas() const noexcept override { return source_->drawn_for_canvas(); }
    Picture draw(ItemId item, const InputTransform& canvas) const override
    {
        Picture picture = source_->draw(item, canvas);
        if (picture.pixels.type() == ElementType::u8) {
            for (std::uint8_t& level : picture.pixels.values<std::uint8_t>())
                level = levels_[level];
        } else {
            for (float& level : picture.pixels.values<float>())
                level = static_cast<float>(square_root(static_cast<double>(level)));
        }
        return picture;
    }
    void check(const InputTransform& canvas) const override { source_->check(canvas); }
    Table describe(ItemRange items) const override { return source_->describe(items); }
    std::string identity() const override { return "square root " + source_->identity(); }
    std::string summary() const override
    {
        return source_->summary() + ", square root of brightness";
    }

private:
    std::unique_ptr<StimulusSource> source_;
    std::array<std::uint8_t, 256> levels_{};
};

}  // namespace

std::unique_ptr<StimulusSource> in_square_root(std::unique_ptr<StimulusSource> source)
{
    return std::make_unique<SquareRootSource>(std::move(source));
}

}  // namespace twinscreen
