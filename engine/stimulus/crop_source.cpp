#include <algorithm>
#include <cmath>
#include <cstring>
#include <list>
#include <mutex>

#include "engine/stimulus/image_source.hpp"
#include "engine/stimulus/synthetic.hpp"

namespace twinscreen {
namespace {

/// The photographs that were decoded last, up to a number of bytes.
class PictureCache {
public:
    /// Shared, because another thread may push a picture out while it is being cut.
    std::shared_ptr<const Picture> get(const ImageCollection& images, std::uint64_t image)
    {
        {
            const std::lock_guard lock(mutex_);
            const auto found = std::find_if(entries_.begin(), entries_.end(),
                                            [&](const Entry& e) { return e.image == image; });
            if (found != entries_.end()) {
                entries_.splice(entries_.begin(), entries_, found);
                return entries_.front().picture;
            }
        }
        auto picture = std::make_shared<const Picture>(images.decode(image));
        const std::lock_guard lock(mutex_);
        entries_.push_front({image, picture});
        bytes_ += picture->pixels.bytes();
        while (bytes_ > most_bytes && entries_.size() > 1) {
            bytes_ -= entries_.back().picture->pixels.bytes();
            entries_.pop_back();
        }
        return picture;
    }

private:
    static constexpr std::size_t most_bytes = std::size_t{256} << 20U;
    struct Entry {
        std::uint64_t image;
        std::shared_ptr<const Picture> picture;
    };
    std::mutex mutex_;
    std::list<Entry> entries_;
    std::size_t bytes_ = 0;
};

/// Random places: which photograph, how large a part of it, and where.
struct Crop {
    std::uint64_t image = 0;
    double scale = 1.0;       // of the largest part with the canvas' aspect
    double horizontal = 0.0;  // 0: left border .. 1: right border
    double vertical = 0.0;    // 0: upper border .. 1: lower border
};

class CropSource final : public StimulusSource {
public:
    CropSource(SyntheticSet facts, std::unique_ptr<ImageCollection> images, double smallest,
               double largest)
        : facts_(std::move(facts)),
          images_(std::move(images)),
          smallest_(smallest),
          largest_(largest)
    {
        TWINSCREEN_REQUIRE(images_->count() <= 0xFFFF'FFFFU, data,
                           "{} holds too many images to draw from", images_->place());
    }

    std::uint64_t count() const noexcept override { return endless; }
    bool drawn_for_canvas() const noexcept override { return true; }

    Picture draw(ItemId item, const InputTransform& canvas) const override
    {
        const Crop crop = crop_of(index_of(item));
        const auto photo = cache_.get(*images_, crop.image);
        const double aspect = static_cast<double>(canvas.width) / canvas.height;
        const double widest = std::min<double>(photo->width, photo->height * aspect);
        const int width = whole(crop.scale * widest, photo->width);
        const int height = whole(crop.scale * widest / aspect, photo->height);
        const Picture part = cut(*photo, place(crop.vertical, photo->height - height),
                                 place(crop.horizontal, photo->width - width), height, width);
        const bool to_one = canvas.channels == 1 && part.channels == 3;
        if (!to_one) return resize(part, canvas.height, canvas.width, canvas.filter);
        return resize(to_grey(part), canvas.height, canvas.width, canvas.filter);
    }
    void check(const InputTransform&) const override {}

    Table describe(ItemRange items) const override
    {
        std::vector<std::string> files;
        std::vector<double> scales, horizontal, vertical;
        for (std::uint64_t i = 0; i < items.count; ++i) {
            const Crop crop = crop_of(index_of(items.first) + i);
            files.push_back(images_->name(crop.image));
            scales.push_back(crop.scale);
            horizontal.push_back(crop.horizontal);
            vertical.push_back(crop.vertical);
        }
        Table table;
        table.columns.push_back({"kind", "", std::vector<std::string>(items.count, facts_.kind)});
        table.columns.push_back({"file", "", std::move(files)});
        table.columns.push_back({"crop_scale", "", std::move(scales)});
        table.columns.push_back({"crop_horizontal", "", std::move(horizontal)});
        table.columns.push_back({"crop_vertical", "", std::move(vertical)});
        return table;
    }
    std::string identity() const override
    {
        return fmt::format("crops seed={} set={} scale={}..{} of {} images, names and contents {}",
                           facts_.seed, facts_.set, smallest_, largest_, images_->count(),
                           images_->digest());
    }
    std::string summary() const override
    {
        return fmt::format("random crops of {} images from {}", images_->count(), images_->place());
    }

private:
    Crop crop_of(std::uint64_t item) const
    {
        const auto bits = draw_bits(facts_.draws(DrawStream::stimulus_parameter, item));
        return {below(bits[0], static_cast<std::uint32_t>(images_->count())),
                smallest_ + (largest_ - smallest_) * static_cast<double>(unit_interval(bits[1])),
                static_cast<double>(unit_interval(bits[2])),
                static_cast<double>(unit_interval(bits[3]))};
    }
    static int whole(double length, int most)
    {
        return std::clamp(static_cast<int>(std::lround(length)), 1, most);
    }
    static int place(double part, int room)
    {
        return std::min(room, static_cast<int>(part * (room + 1)));
    }
    static Picture cut(const Picture& photo, int top, int left, int height, int width)
    {
        const auto channels = static_cast<std::size_t>(photo.channels);
        Picture part{height, width, photo.channels, false,
                     OwnedBatch(ElementType::u8, {height, width, photo.channels})};
        const std::uint8_t* from = photo.pixels.values<std::uint8_t>().data();
        std::uint8_t* to = part.pixels.values<std::uint8_t>().data();
        const std::size_t row_bytes = static_cast<std::size_t>(width) * channels;
        for (int row = 0; row < height; ++row, to += row_bytes) {
            const auto pixel =
                static_cast<std::size_t>(top + row) * static_cast<std::size_t>(photo.width) +
                static_cast<std::size_t>(left);
            std::memcpy(to, from + pixel * channels, row_bytes);
        }
        return part;
    }

    SyntheticSet facts_;
    std::unique_ptr<ImageCollection> images_;
    double smallest_;
    double largest_;
    mutable PictureCache cache_;
};

}  // namespace

std::unique_ptr<StimulusSource> make_crops(ConfigSection& section, std::uint64_t seed,
                                           std::uint32_t set)
{
    const bool from_zip = section.has("zip");
    const std::string place = from_zip ? "zip" : "folder";
    const std::filesystem::path path = section.require_existing_path(place);
    const bool recursive = !from_zip && section.get_or<bool>("recursive", false);
    const auto smallest = section.get_or<double>("smallest_scale", 0.25, {}, in_range(0.001, 1.0));
    const auto largest = section.get_or<double>("largest_scale", 1.0, {}, in_range(0.001, 1.0));
    section.reject_unknown_keys();
    if (!section.has_mistakes() && largest < smallest)
        section.complain(
            "largest_scale",
            fmt::format("largest_scale = {} is below smallest_scale = {}", largest, smallest));
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<CropSource>(
        SyntheticSet{"crops", seed, set, false},
        from_zip ? collect_zip(ReadFile(path)) : collect_folder(path, recursive, section.reads()),
        smallest, largest);
}

}  // namespace twinscreen
