#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/config/section.hpp"
#include "engine/device/executor.hpp"

namespace twinscreen {

/// Size of generated pictures.
struct PictureSize {
    int height = 0;
    int width = 0;
    int channels = 1;  ///< 1: grey, 3: RGB

    std::size_t pixels() const noexcept
    {
        return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
    }
    /// Of one picture [bytes].
    std::size_t bytes() const noexcept { return pixels() * static_cast<std::size_t>(channels); }
};

/// Makes pictures of latent codes, whose prior is the standard normal distribution. One thread.
class ImageGenerator {
public:
    virtual ~ImageGenerator() = default;
    virtual std::size_t code_length() const noexcept = 0;
    virtual PictureSize size() const noexcept = 0;
    /// A picture depends on its own code only.
    ///
    /// codes     [pictures, code_length]
    /// pictures  [pictures, height, width, channels]
    virtual void generate(std::span<const float> codes, std::span<std::uint8_t> pictures,
                          Executor&) = 0;
    /// Equal texts mean equal pictures of equal codes.
    virtual std::string identity() const = 0;
    /// One line for `plan`.
    virtual std::string summary() const = 0;
};

/// Numbers of a code that one Gabor takes.
inline constexpr std::size_t gabor_code_length = 6;

/// The sum of Gabors on an even background, in grey: a generator that needs no weights. With P the
/// normal distribution function, the six numbers z of an element are mapped smoothly to
///
///     x, y         width * (P(z0) - 1/2), height * (P(z1) - 1/2) from the centre [pixels]
///     orientation  pi z2 / 2 [rad]
///     frequency    (width / 4)^P(z3) cycles per picture width: 1 to width / 4
///     phase        pi z4 [rad]
///     contrast     P(z5), so that an element can be switched off for good
///
/// Orientation and phase so cover the circle evenly (to within 2 %). Widths follow the wavelength:
/// a bandwidth of one octave, as Field (1987) argues for natural images.
///
/// background  grey level of zero contrast [0..255]
std::unique_ptr<ImageGenerator> make_gabor_generator(std::uint32_t elements, PictureSize size,
                                                     float background);

/// A foreign network as a generator. `section` is what `[[twins]]` would take for a graph bundle
/// with taps = ["NODE"]: the code is the network's input (as stored, not as a picture), the tap is
/// the picture, [1 or 3 channels, height, width].
///
/// pixel_scale, pixel_offset  grey level = scale * value + offset, cut to 0..255 and truncated
/// Mistakes are complained of in the section; then the result is null.
std::unique_ptr<ImageGenerator> make_network_generator(ConfigSection& section, double pixel_scale,
                                                       double pixel_offset);

}  // namespace twinscreen
