#include <array>
#include <cmath>
#include <numbers>

#include "engine/stimulus/parameter_grid.hpp"
#include "engine/stimulus/synthetic.hpp"

namespace twinscreen {
namespace {

constexpr double radians(double degrees) { return degrees * std::numbers::pi / 180.0; }

constexpr ParameterRule positive{0.0, 1e6, true};
constexpr ParameterRule not_negative{0.0, 1e6, false};
constexpr ParameterRule zero_to_one{0.0, 1.0, false};

/// A set that is a grid of parameters.
class GridSource : public SyntheticSource {
public:
    GridSource(SyntheticSet facts, ParameterGrid grid)
        : SyntheticSource(std::move(facts)), grid_(std::move(grid))
    {
    }
    std::uint64_t count() const noexcept override { return grid_.count(); }
    std::string summary() const override
    {
        std::string factors;
        for (const auto& [size, name] : varied())
            factors += fmt::format("{}{} {}", factors.empty() ? " (" : " x ", size, name);
        return fmt::format("{} {}{}", count(), facts().kind, factors.empty() ? "" : factors + ")");
    }

protected:
    const ParameterGrid& grid() const noexcept { return grid_; }
    void require_below_nyquist(const ParameterAxis& frequency, double pixels) const
    {
        TWINSCREEN_REQUIRE(frequency.highest() / pixels <= 0.5, data,
                           "stimulus set {} ({}) has {} [{}], that is {:.3g} cycles per pixel of a "
                           "twin (at most 0.5). Take lower frequencies",
                           facts().set, facts().kind, frequency.text(), frequency.unit(),
                           frequency.highest() / pixels);
    }

private:
    std::vector<std::pair<std::uint64_t, std::string>> varied() const
    {
        std::vector<std::pair<std::uint64_t, std::string>> result;
        for (std::size_t i = 0; i < grid_.axes(); ++i)
            if (grid_.axis(i).size() > 1)
                result.emplace_back(grid_.axis(i).size(), grid_.axis(i).name());
        return result;
    }
    Table parameters(ItemRange items) const override { return grid_.describe(items); }

    ParameterGrid grid_;
};

struct WaveOptions {
    WaveShape shape = WaveShape::sine;
    Aperture aperture = Aperture::none;
};

/// Gratings and plaids: orientation, [angle,] frequency, phase, contrast, x, y[, size].
class GratingSource final : public GridSource {
public:
    GratingSource(SyntheticSet facts, ParameterGrid grid, WaveOptions options, bool crossed)
        : GridSource(std::move(facts), std::move(grid)), options_(options), crossed_(crossed)
    {
    }

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        const std::vector<double> p = grid().at(item);
        std::size_t next = 0;
        const double orientation = radians(p[next++]);
        const double angle = crossed_ ? radians(p[next++]) : 0.0;
        const double frequency = p[next++] / pixels;
        const double phase = radians(p[next++]);
        const double contrast = p[next++];
        Window window;
        window.aperture = options_.aperture;
        window.x = p[next++] * pixels;
        window.y = p[next++] * pixels;
        if (window.aperture != Aperture::none) {
            const double size = p[next] * pixels;
            window.radius = size / 2.0;
            window.sigma = size / 4.0;
        }
        const std::array<Wave, 2> waves{Wave{frequency, orientation, phase},
                                        Wave{frequency, orientation + angle, phase}};
        draw_waves(canvas, std::span(waves.data(), crossed_ ? 2U : 1U), options_.shape, contrast,
                   window, grey);
    }
    void check_sizes(double pixels) const override
    {
        require_below_nyquist(grid().axis(crossed_ ? 2 : 1), pixels);
    }
    std::string parameter_text() const override
    {
        return fmt::format("shape={} aperture={} {}", static_cast<int>(options_.shape),
                           static_cast<int>(options_.aperture), grid().text());
    }

    WaveOptions options_;
    bool crossed_;
};

/// orientation, frequency, phase, contrast, x, y, sigma, aspect.
class GaborSource final : public GridSource {
public:
    using GridSource::GridSource;

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        const std::vector<double> p = grid().at(item);
        const Wave wave{p[1] / pixels, radians(p[0]), radians(p[2])};
        const Window window{Aperture::gaussian, p[4] * pixels, p[5] * pixels, 0.0,
                            p[6] * pixels,      p[7],          radians(p[0])};
        draw_waves(canvas, std::span(&wave, 1), WaveShape::sine, p[3], window, grey);
    }
    void check_sizes(double pixels) const override
    {
        require_below_nyquist(grid().axis(1), pixels);
    }
    std::string parameter_text() const override { return grid().text(); }
};

/// inner radius, outer radius, contrast, x, y.
class AnnulusSource final : public GridSource {
public:
    using GridSource::GridSource;

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        const std::vector<double> p = grid().at(item);
        draw_ring(canvas, {p[3] * pixels, p[4] * pixels, p[0] * pixels, p[1] * pixels}, p[2], grey);
    }
    void check_sizes(double) const override {}
    std::string parameter_text() const override { return grid().text(); }
};

void require_countable(ConfigSection& section, const ParameterGrid& grid)
{
    if (grid.count() > ParameterGrid::most_items)
        section.complain({}, fmt::format("the grid of parameters has more than {} items",
                                         ParameterGrid::most_items));
}

/// The axes of a moving part: orientation first, then what `more` adds, frequency and the rest.
std::vector<ParameterAxis> wave_axes(ConfigSection& section, const SyntheticSet& facts,
                                     bool crossed)
{
    const std::string length(facts.length_unit());
    const std::string frequency(facts.frequency_unit());
    if (!section.has("spatial_frequency")) section.require<double>("spatial_frequency", frequency);
    std::vector<ParameterAxis> axes;
    axes.push_back(read_axis(section, "orientation", "deg", 0.0, {}));
    if (crossed) axes.push_back(read_axis(section, "angle", "deg", 90.0, {}));
    axes.push_back(read_axis(section, "spatial_frequency", frequency, 1.0, not_negative));
    axes.push_back(read_axis(section, "phase", "deg", 0.0, {}));
    axes.push_back(read_axis(section, "contrast", "", 1.0, zero_to_one));
    axes.push_back(read_axis(section, "x", length, 0.0, {}));
    axes.push_back(read_axis(section, "y", length, 0.0, {}));
    return axes;
}

std::unique_ptr<StimulusSource> make_waves(ConfigSection& section, std::string kind,
                                           std::uint64_t seed, std::uint32_t set, bool crossed)
{
    const SyntheticSet facts = read_synthetic(section, std::move(kind), seed, set);
    std::vector<ParameterAxis> axes = wave_axes(section, facts, crossed);
    WaveOptions options;
    if (section.one_of("shape", "sine", {"sine", "square"}) == "square")
        options.shape = WaveShape::square;
    const std::string aperture = section.one_of("aperture", section.has("size") ? "circle" : "none",
                                                {"none", "circle", "gaussian"});
    if (aperture != "none") {
        options.aperture = aperture == "circle" ? Aperture::circle : Aperture::gaussian;
        if (!section.has("size")) section.require<double>("size", facts.length_unit());
        axes.push_back(read_axis(section, "size", std::string(facts.length_unit()), 1.0, positive));
    }
    ParameterGrid grid(std::move(axes));
    require_countable(section, grid);
    section.reject_unknown_keys();
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<GratingSource>(facts, std::move(grid), options, crossed);
}

}  // namespace

std::unique_ptr<StimulusSource> make_gratings(ConfigSection& section, std::uint64_t seed,
                                              std::uint32_t set)
{
    return make_waves(section, "gratings", seed, set, false);
}

std::unique_ptr<StimulusSource> make_plaids(ConfigSection& section, std::uint64_t seed,
                                            std::uint32_t set)
{
    return make_waves(section, "plaids", seed, set, true);
}

std::unique_ptr<StimulusSource> make_gabors(ConfigSection& section, std::uint64_t seed,
                                            std::uint32_t set)
{
    const SyntheticSet facts = read_synthetic(section, "gabors", seed, set);
    std::vector<ParameterAxis> axes = wave_axes(section, facts, false);
    if (!section.has("sigma")) section.require<double>("sigma", facts.length_unit());
    axes.push_back(read_axis(section, "sigma", std::string(facts.length_unit()), 1.0, positive));
    axes.push_back(read_axis(section, "aspect", "", 1.0, {0.01, 100.0, false}));
    ParameterGrid grid(std::move(axes));
    require_countable(section, grid);
    section.reject_unknown_keys();
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<GaborSource>(facts, std::move(grid));
}

std::unique_ptr<StimulusSource> make_annuli(ConfigSection& section, std::uint64_t seed,
                                            std::uint32_t set)
{
    const SyntheticSet facts = read_synthetic(section, "annuli", seed, set);
    const std::string length(facts.length_unit());
    if (!section.has("outer_radius")) section.require<double>("outer_radius", length);
    std::vector<ParameterAxis> axes;
    axes.push_back(read_axis(section, "inner_radius", length, 0.0, not_negative));
    axes.push_back(read_axis(section, "outer_radius", length, 1.0, positive));
    axes.push_back(read_axis(section, "contrast", "", 1.0, {-1.0, 1.0, false}));
    axes.push_back(read_axis(section, "x", length, 0.0, {}));
    axes.push_back(read_axis(section, "y", length, 0.0, {}));
    ParameterGrid grid(std::move(axes));
    require_countable(section, grid);
    section.reject_unknown_keys();
    if (!section.has_mistakes() && grid.axis(0).highest() >= grid.axis(1).lowest())
        section.complain("outer_radius",
                         fmt::format("outer_radius = {} is not larger than inner_radius = {}",
                                     grid.axis(1).lowest(), grid.axis(0).highest()));
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<AnnulusSource>(facts, std::move(grid));
}

}  // namespace twinscreen
