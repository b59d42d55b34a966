#include "engine/stimulus/image_source.hpp"

namespace twinscreen {
namespace {

class ImageSource final : public StimulusSource {
public:
    explicit ImageSource(std::unique_ptr<ImageCollection> images) : images_(std::move(images)) {}

    std::uint64_t count() const noexcept override { return images_->count(); }
    bool drawn_for_canvas() const noexcept override { return false; }
    Picture draw(ItemId item, const InputTransform&) const override
    {
        return images_->decode(index_of(item));
    }
    // Sizes are known only after decoding: looking into a million files is not a check.
    void check(const InputTransform&) const override {}
    Table describe(ItemRange items) const override
    {
        std::vector<std::string> names;
        names.reserve(items.count);
        for (std::uint64_t i = 0; i < items.count; ++i)
            names.push_back(images_->name(index_of(items.first) + i));
        Table table;
        table.columns.push_back({"file", "", std::move(names)});
        return table;
    }
    std::string identity() const override
    {
        return fmt::format("{} images, names and contents {}", count(), images_->digest());
    }
    std::string summary() const override
    {
        return fmt::format("{} images from {}", count(), images_->place());
    }

private:
    std::unique_ptr<ImageCollection> images_;
};

}  // namespace

std::unique_ptr<StimulusSource> make_image_source(std::unique_ptr<ImageCollection> images)
{
    return std::make_unique<ImageSource>(std::move(images));
}

}  // namespace twinscreen
