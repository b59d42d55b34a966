#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "experiments/relational_control/generative/image_generator.hpp"
#include "kernels/render.hpp"

namespace twinscreen {
namespace {

/// Standard deviation times frequency of a Gabor whose amplitude spectrum is one octave wide at
/// half its height: sqrt(ln 2 / 2) / pi * (2^b + 1) / (2^b - 1) with b = 1.
constexpr double sigma_times_frequency = 0.5622;

double normal_distribution(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

class GaborGenerator final : public ImageGenerator {
public:
    GaborGenerator(std::uint32_t elements, PictureSize size, float background)
        : elements_(elements),
          size_{size.height, size.width, 1},
          canvas_{size.height, size.width, background},
          element_(size_.pixels()),
          sum_(size_.pixels())
    {
    }

    std::size_t code_length() const noexcept override { return elements_ * gabor_code_length; }
    PictureSize size() const noexcept override { return size_; }

    void generate(std::span<const float> codes, std::span<std::uint8_t> pictures,
                  Executor&) override
    {
        const std::size_t length = code_length(), pixels = size_.pixels();
        for (std::size_t at = 0; at < codes.size() / length; ++at)
            draw(codes.subspan(at * length, length), pictures.subspan(at * pixels, pixels));
    }

    std::string identity() const override
    {
        return fmt::format("{} Gabors, {} x {} pixels, background {}", elements_, size_.height,
                           size_.width, canvas_.background);
    }
    std::string summary() const override
    {
        return fmt::format("sums of {} Gabors, {} x {} pixels", elements_, size_.height,
                           size_.width);
    }

private:
    void draw(std::span<const float> code, std::span<std::uint8_t> picture)
    {
        std::ranges::fill(sum_, canvas_.background);
        for (std::size_t element = 0; element < elements_; ++element)
            add_element(code.subspan(element * gabor_code_length, gabor_code_length));
        std::ranges::transform(sum_, picture.begin(), [](float grey) {
            return static_cast<std::uint8_t>(std::clamp(grey, 0.0F, 255.0F) + 0.5F);
        });
    }

    void add_element(std::span<const float> code)
    {
        std::array<double, gabor_code_length> z{};
        std::ranges::copy(code, z.begin());
        const double highest = std::max(1.0, size_.width / 4.0);
        const double frequency = std::pow(highest, normal_distribution(z[3])) / size_.width;
        Wave wave{frequency, std::numbers::pi / 2.0 * z[2], std::numbers::pi * z[4]};
        Window window;
        window.aperture = Aperture::gaussian;
        window.x = size_.width * (normal_distribution(z[0]) - 0.5);
        window.y = size_.height * (normal_distribution(z[1]) - 0.5);
        window.sigma = sigma_times_frequency / frequency;
        window.orientation = wave.orientation;
        draw_waves(canvas_, std::span(&wave, 1), WaveShape::sine, normal_distribution(z[5]), window,
                   element_.data());
        for (std::size_t pixel = 0; pixel < sum_.size(); ++pixel)
            sum_[pixel] += element_[pixel] - canvas_.background;
    }

    std::size_t elements_;
    PictureSize size_;
    DrawingCanvas canvas_;
    std::vector<float> element_;
    std::vector<float> sum_;
};

}  // namespace

std::unique_ptr<ImageGenerator> make_gabor_generator(std::uint32_t elements, PictureSize size,
                                                     float background)
{
    return std::make_unique<GaborGenerator>(elements, size, background);
}

}  // namespace twinscreen
