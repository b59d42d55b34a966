#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/config/section.hpp"
#include "engine/stimulus/source.hpp"
#include "kernels/random.hpp"
#include "kernels/render.hpp"

namespace twinscreen {

/// What all sets that are drawn on the spot have in common.
struct SyntheticSet {
    std::string kind;  ///< "gratings"
    std::uint64_t seed = 0;
    std::uint32_t set = 0;
    bool in_degrees = false;  ///< lengths are in [deg], else in [pixel]

    /// Where an item's draws stand: the set's number in the high bits of the item.
    DrawAddress draws(DrawStream stream, std::uint64_t item) const;
    std::string_view length_unit() const noexcept { return in_degrees ? "deg" : "pixel"; }
    std::string_view frequency_unit() const noexcept
    {
        return in_degrees ? "cycles/deg" : "cycles/pixel";
    }
    /// Throws Error(data) if the set is in [deg] and the canvas does not know its own.
    double pixels_per_length(const InputTransform& canvas) const;
};

/// Reads `units` = "deg" or "pixel".
SyntheticSet read_synthetic(ConfigSection& section, std::string kind, std::uint64_t seed,
                            std::uint32_t set);

/// A set whose items are grey pictures of the size of the canvas.
class SyntheticSource : public StimulusSource {
public:
    explicit SyntheticSource(SyntheticSet facts) : facts_(std::move(facts)) {}
    bool drawn_for_canvas() const noexcept override { return true; }
    Picture draw(ItemId item, const InputTransform& canvas) const override;
    void check(const InputTransform& canvas) const override;
    Table describe(ItemRange items) const override;
    std::string identity() const override;

protected:
    const SyntheticSet& facts() const noexcept { return facts_; }

private:
    /// grey  [height, width]; `pixels` converts lengths of the set to pixels.
    virtual void render(std::uint64_t item, const DrawingCanvas& canvas, double pixels,
                        float* grey) const = 0;
    virtual void check_sizes(double pixels) const = 0;
    virtual Table parameters(ItemRange items) const = 0;
    virtual std::string parameter_text() const = 0;

    SyntheticSet facts_;
};

// Each reads one sub-table of [[stimuli]]; mistakes are complained of there, then the result is
// null.
using SyntheticFactory = std::unique_ptr<StimulusSource>(ConfigSection&, std::uint64_t seed,
                                                         std::uint32_t set);
SyntheticFactory make_gratings, make_gabors, make_plaids, make_annuli;
SyntheticFactory make_sparse_noise, make_white_noise, make_pink_noise, make_dead_leaves;
SyntheticFactory make_crops;

/// Number of items of sets that never end.
inline constexpr std::uint64_t endless = std::uint64_t{1} << 48U;

}  // namespace twinscreen
