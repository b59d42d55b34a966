#include <algorithm>

#include "engine/twin/bundle.hpp"
#include "experiments/relational_control/generative/image_generator.hpp"

namespace twinscreen {
namespace {

class NetworkGenerator final : public ImageGenerator {
public:
    NetworkGenerator(std::shared_ptr<Backbone> network, TapId tap, double scale, double offset)
        : network_(std::move(network)), tap_(tap), scale_(scale), offset_(offset)
    {
        const Shape& map = network_->taps()[index_of(tap)].row;
        size_ = {static_cast<int>(map.extent[1]), static_cast<int>(map.extent[2]),
                 static_cast<int>(map.extent[0])};
    }

    std::size_t code_length() const noexcept override
    {
        return static_cast<std::size_t>(network_->input().row_shape().count());
    }
    PictureSize size() const noexcept override { return size_; }

    void generate(std::span<const float> codes, std::span<std::uint8_t> pictures,
                  Executor& executor) override
    {
        const std::int64_t batch = network_->compute_batch();
        const std::size_t length = code_length();
        OwnedBatch input(ElementType::f32, network_->input().row_shape().with_rows(batch));
        const auto step = static_cast<std::size_t>(batch);
        for (std::size_t first = 0; first < codes.size() / length; first += step) {
            const std::size_t rows = std::min(step, codes.size() / length - first);
            std::ranges::fill(input.values<float>(), 0.0F);
            std::ranges::copy(codes.subspan(first * length, rows * length),
                              input.values<float>().begin());
            const ForwardRequest request{input.view(), {}, std::span(&tap_, 1), false};
            const std::unique_ptr<Trace> trace = network_->forward(request, executor);
            const auto values = values_of<float>(trace->tap(tap_));
            for (std::size_t row = 0; row < rows; ++row)
                write_picture(values.subspan(row * size_.bytes(), size_.bytes()),
                              pictures.subspan((first + row) * size_.bytes(), size_.bytes()));
        }
    }

    std::string identity() const override
    {
        return fmt::format("network {}, tap {}, {} x value + {}", network_->digest(), name(),
                           scale_, offset_);
    }
    std::string summary() const override
    {
        return fmt::format("node {} of a network, {} x {} x {}, codes of {}", name(), size_.height,
                           size_.width, size_.channels, code_length());
    }

private:
    const std::string& name() const { return network_->taps()[index_of(tap_)].name; }

    /// map  [channels, height, width]
    void write_picture(std::span<const float> map, std::span<std::uint8_t> picture) const
    {
        const auto channels = static_cast<std::size_t>(size_.channels);
        for (std::size_t channel = 0; channel < channels; ++channel)
            for (std::size_t pixel = 0; pixel < size_.pixels(); ++pixel) {
                const double level =
                    scale_ * static_cast<double>(map[channel * size_.pixels() + pixel]) + offset_;
                picture[pixel * channels + channel] =  // NaN becomes 0
                    level > 0.0 ? static_cast<std::uint8_t>(std::min(level, 255.0)) : 0;
            }
    }

    std::shared_ptr<Backbone> network_;
    TapId tap_;
    double scale_;
    double offset_;
    PictureSize size_;
};

/// The tap that a section's `taps` chose.
std::optional<TapId> chosen_tap(const Twin& twin)
{
    if (!twin.selection || twin.selection->taps.size() != 1 || twin.parts.size() != 1)
        return std::nullopt;
    const auto taps = twin.parts.front().backbone->taps();
    for (std::uint32_t tap = 0; tap < taps.size(); ++tap)
        if (taps[tap].name == twin.selection->taps.front()) return TapId{tap};
    return std::nullopt;
}

bool is_picture(const TapSpec& tap)
{
    return tap.channels_first && tap.row.rank == 3 &&
           (tap.row.extent[0] == 1 || tap.row.extent[0] == 3) && tap.row.extent[1] <= 4096 &&
           tap.row.extent[2] <= 4096;
}

}  // namespace

std::unique_ptr<ImageGenerator> make_network_generator(ConfigSection& section, double pixel_scale,
                                                       double pixel_offset)
{
    const Twin twin = make_twin(section);
    if (twin.parts.empty()) return nullptr;
    const std::optional<TapId> tap = chosen_tap(twin);
    if (!tap) {
        section.complain("taps", "a generator is one node of one network",
                         "taps = [\"NODE\"] names the node that computes the picture");
        return nullptr;
    }
    const std::shared_ptr<Backbone>& network = twin.parts.front().backbone;
    const TapSpec& picture = network->taps()[index_of(*tap)];
    if (!is_picture(picture)) {
        section.complain("taps",
                         fmt::format("'{}' computes {}, not a picture [1 or 3 channels, height, "
                                     "width] of at most 4096 x 4096 pixels",
                                     picture.name, picture.row.text()));
        return nullptr;
    }
    if (!network->covariates().empty()) {
        section.complain("bundle", "the network takes covariates beside its code");
        return nullptr;
    }
    return std::make_unique<NetworkGenerator>(network, *tap, pixel_scale, pixel_offset);
}

}  // namespace twinscreen
