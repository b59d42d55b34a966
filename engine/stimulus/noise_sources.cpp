#include <cmath>
#include <map>
#include <mutex>

#include "engine/stimulus/synthetic.hpp"

namespace twinscreen {
namespace {

/// A set of which every item is another draw; all items have the same parameters.
class NoiseSource : public SyntheticSource {
public:
    using SyntheticSource::SyntheticSource;
    std::uint64_t count() const noexcept override { return endless; }
    std::string summary() const override
    {
        return fmt::format("{} pictures ({})", facts().kind, settings_text());
    }

protected:
    struct Setting {
        std::string name;
        std::string unit;
        double value = 0.0;
    };

private:
    virtual std::vector<Setting> settings() const = 0;

    std::string settings_text() const
    {
        std::string text;
        for (const Setting& setting : settings())
            text += fmt::format("{}{} = {}{}{}", text.empty() ? "" : ", ", setting.name,
                                setting.value, setting.unit.empty() ? "" : " ", setting.unit);
        return text;
    }
    std::string parameter_text() const override { return settings_text(); }
    Table parameters(ItemRange items) const override
    {
        Table table;
        for (const Setting& setting : settings())
            table.columns.push_back(
                {setting.name, setting.unit, std::vector<double>(items.count, setting.value)});
        std::vector<std::int64_t> draws(items.count);
        for (std::uint64_t i = 0; i < items.count; ++i)
            draws[i] = static_cast<std::int64_t>(index_of(items.first) + i);
        table.columns.push_back({"draw", "", std::move(draws)});
        return table;
    }
    void check_sizes(double) const override {}
};

/// Throws Error(data) if a length is below `least` pixels.
void require_pixels(const SyntheticSet& facts, std::string_view name, double length, double pixels,
                    double least)
{
    TWINSCREEN_REQUIRE(
        length * pixels >= least, data,
        "stimulus set {} ({}) has {} = {} [{}], that is {:.3g} pixels of a twin (at least "
        "{})",
        facts.set, facts.kind, name, length, facts.length_unit(), length * pixels, least);
}

class SparseNoise final : public NoiseSource {
public:
    struct Settings {
        int squares = 1;
        double size = 1.0;
        double contrast = 1.0;
        Polarity polarity = Polarity::both;
    };
    SparseNoise(SyntheticSet facts, Settings settings)
        : NoiseSource(std::move(facts)), settings_(settings)
    {
    }

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        draw_sparse_squares(canvas, facts().draws(DrawStream::stimulus_parameter, item),
                            settings_.squares, settings_.size * pixels, settings_.contrast,
                            settings_.polarity, grey);
    }
    void check_sizes(double pixels) const override
    {
        require_pixels(facts(), "size", settings_.size, pixels, 1.0);
    }
    std::vector<Setting> settings() const override
    {
        return {{"squares", "", static_cast<double>(settings_.squares)},
                {"size", std::string(facts().length_unit()), settings_.size},
                {"contrast", "", settings_.contrast},
                {"polarity", "",
                 settings_.polarity == Polarity::both    ? 0.0
                 : settings_.polarity == Polarity::light ? 1.0
                                                         : -1.0}};
    }

    Settings settings_;
};

class WhiteNoise final : public NoiseSource {
public:
    WhiteNoise(SyntheticSet facts, double size, double contrast, NoiseValues values)
        : NoiseSource(std::move(facts)), size_(size), contrast_(contrast), values_(values)
    {
    }

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        draw_white_noise(canvas, facts().draws(DrawStream::synthetic_noise, item), size_ * pixels,
                         contrast_, values_, grey);
    }
    void check_sizes(double pixels) const override
    {
        require_pixels(facts(), "size", size_, pixels, 1.0);
    }
    std::vector<Setting> settings() const override
    {
        return {{"size", std::string(facts().length_unit()), size_},
                {"contrast", "", contrast_},
                {"binary", "", values_ == NoiseValues::binary ? 1.0 : 0.0}};
    }

    double size_;
    double contrast_;
    NoiseValues values_;
};

class PinkNoise final : public NoiseSource {
public:
    PinkNoise(SyntheticSet facts, double alpha, double contrast)
        : NoiseSource(std::move(facts)), alpha_(alpha), contrast_(contrast)
    {
    }

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double, float* grey) const override
    {
        draw_coloured_noise(canvas, facts().draws(DrawStream::synthetic_noise, item),
                            spectrum(canvas), contrast_, grey);
    }
    const NoiseSpectrum& spectrum(const DrawingCanvas& canvas) const
    {
        const std::lock_guard lock(mutex_);
        auto& slot = spectra_[{canvas.height, canvas.width}];
        if (slot == nullptr)
            slot = std::make_unique<NoiseSpectrum>(
                make_noise_spectrum(canvas.height, canvas.width, alpha_));
        return *slot;
    }
    std::vector<Setting> settings() const override
    {
        return {{"alpha", "", alpha_}, {"contrast", "", contrast_}};
    }

    double alpha_;
    double contrast_;
    mutable std::mutex mutex_;
    mutable std::map<std::pair<int, int>, std::unique_ptr<NoiseSpectrum>> spectra_;
};

class DeadLeaves final : public NoiseSource {
public:
    DeadLeaves(SyntheticSet facts, double smallest, double largest, double contrast)
        : NoiseSource(std::move(facts)), smallest_(smallest), largest_(largest), contrast_(contrast)
    {
    }

private:
    void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                float* grey) const override
    {
        draw_dead_leaves(canvas, facts().draws(DrawStream::stimulus_parameter, item),
                         smallest_ * pixels, largest_ * pixels, contrast_, grey);
    }
    void check_sizes(double pixels) const override
    {
        require_pixels(facts(), "smallest_radius", smallest_, pixels, 0.5);
        TWINSCREEN_REQUIRE(
            largest_ * pixels <= 1e5, data,
            "stimulus set {} (dead_leaves) has largest_radius = {} [{}], that is {:.3g} "
            "pixels of a twin (at most 100000)",
            facts().set, largest_, facts().length_unit(), largest_ * pixels);
    }
    std::vector<Setting> settings() const override
    {
        return {{"smallest_radius", std::string(facts().length_unit()), smallest_},
                {"largest_radius", std::string(facts().length_unit()), largest_},
                {"contrast", "", contrast_}};
    }

    double smallest_;
    double largest_;
    double contrast_;
};

double read_length(ConfigSection& section, const std::string& key, const SyntheticSet& facts)
{
    return section.require<double>(key, facts.length_unit(), above(0.0));
}

}  // namespace

std::unique_ptr<StimulusSource> make_sparse_noise(ConfigSection& section, std::uint64_t seed,
                                                  std::uint32_t set)
{
    const SyntheticSet facts = read_synthetic(section, "sparse_noise", seed, set);
    SparseNoise::Settings settings;
    settings.squares = static_cast<int>(
        section.get_or<std::int64_t>("squares", 1, {}, in_range<std::int64_t>(1, 100'000)));
    settings.size = read_length(section, "size", facts);
    settings.contrast = section.get_or<double>("contrast", 1.0, {}, in_range(0.0, 1.0));
    const std::string polarity = section.one_of("polarity", "both", {"both", "light", "dark"});
    if (polarity != "both")
        settings.polarity = polarity == "light" ? Polarity::light : Polarity::dark;
    section.reject_unknown_keys();
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<SparseNoise>(facts, settings);
}

std::unique_ptr<StimulusSource> make_white_noise(ConfigSection& section, std::uint64_t seed,
                                                 std::uint32_t set)
{
    const SyntheticSet facts = read_synthetic(section, "white_noise", seed, set);
    const double size = read_length(section, "size", facts);
    const double contrast = section.get_or<double>("contrast", 0.3, {}, in_range(0.0, 1.0));
    const bool binary = section.one_of("values", "gaussian", {"gaussian", "binary"}) == "binary";
    section.reject_unknown_keys();
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<WhiteNoise>(facts, size, contrast,
                                        binary ? NoiseValues::binary : NoiseValues::gaussian);
}

std::unique_ptr<StimulusSource> make_pink_noise(ConfigSection& section, std::uint64_t seed,
                                                std::uint32_t set)
{
    SyntheticSet facts{"pink_noise", seed, set, false};
    const double alpha = section.get_or<double>("alpha", 1.0, {}, in_range(0.0, 4.0));
    const double contrast = section.get_or<double>("contrast", 0.3, {}, in_range(0.0, 1.0));
    section.reject_unknown_keys();
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<PinkNoise>(std::move(facts), alpha, contrast);
}

std::unique_ptr<StimulusSource> make_dead_leaves(ConfigSection& section, std::uint64_t seed,
                                                 std::uint32_t set)
{
    const SyntheticSet facts = read_synthetic(section, "dead_leaves", seed, set);
    const double smallest = read_length(section, "smallest_radius", facts);
    const double largest = read_length(section, "largest_radius", facts);
    const double contrast = section.get_or<double>("contrast", 1.0, {}, in_range(0.0, 1.0));
    section.reject_unknown_keys();
    if (!section.has_mistakes() && largest <= smallest)
        section.complain("largest_radius",
                         fmt::format("largest_radius = {} is not larger than smallest_radius = {}",
                                     largest, smallest));
    if (section.has_mistakes()) return nullptr;
    return std::make_unique<DeadLeaves>(facts, smallest, largest, contrast);
}

}  // namespace twinscreen
