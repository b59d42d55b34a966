#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/base/types.hpp"
#include "kernels/image.hpp"

namespace twinscreen {

/// A set of stimuli. Each one is a function of its number and the campaign seed: the same item
/// gives the same pixels on any rank, in any order, at any time.
class StimulusSource {
public:
    virtual ~StimulusSource() = default;
    virtual std::uint64_t count() const noexcept = 0;
    /// True for sets that are drawn at the size of the canvas they are asked for; false for files,
    /// which are decoded once at their own size and fitted by each twin's transform.
    virtual bool drawn_for_canvas() const noexcept = 0;
    /// Independent, thread-safe. `canvas` gives size, channels and degrees per pixel to sets
    /// that are drawn for it. Throws Error(data) that names the file and the item.
    virtual Picture draw(ItemId item, const InputTransform& canvas) const = 0;
    /// Checks everything that can be checked before the run against one canvas (sizes in [deg]
    /// with unknown degrees per pixel, array shapes). Throws Error(data).
    virtual void check(const InputTransform& canvas) const = 0;
    /// Parameters (with units), file name or labels of items, one row each. Independent.
    virtual Table describe(ItemRange items) const = 0;
    /// Equal texts mean equal pixels: kind, parameters, seed, names and facts of the content. Never
    /// where files lie: a store is continued with the same images from another place.
    virtual std::string identity() const = 0;
    /// One line for `plan` and the summary: "1200 images from zip images_190923.zip". Sets without
    /// an end give no number: "pink_noise pictures (alpha = 1, contrast = 0.3)".
    virtual std::string summary() const = 0;
};

}  // namespace twinscreen
