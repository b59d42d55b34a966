#include "experiments/fit_readout/feature_sets.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace twinscreen {
namespace {

using Key = std::tuple<std::string, std::string, std::string>;

std::vector<FeatureSet> one_per_area(const Table& units)
{
    std::vector<FeatureSet> sets;
    std::map<Key, std::size_t> known;
    for (std::size_t unit = 0; unit < units.rows(); ++unit) {
        const Key key{units.text("twin", unit), units.text("subject", unit),
                      units.text("area", unit)};
        const auto [entry, is_new] = known.try_emplace(key, sets.size());
        if (is_new) {
            sets.emplace_back();
            std::tie(sets.back().twin, sets.back().subject, sets.back().area) = key;
        }
        sets[entry->second].columns.push_back(static_cast<std::uint32_t>(unit));
    }
    for (FeatureSet& set : sets) {
        set.band.assign(set.columns.size(), 0);
        set.bands = {set.twin + " " + set.area};
    }
    return sets;
}

/// The sets as bands of one.
FeatureSet joined(const std::vector<FeatureSet>& parts)
{
    FeatureSet all = parts.front();
    all.area = "all";
    all.columns.clear();
    all.band.clear();
    all.bands.clear();
    all.subject.clear();
    for (std::size_t part = 0; part < parts.size(); ++part) {
        if (part > 0 && parts[part].twin != parts[part - 1].twin)
            all.twin += " + " + parts[part].twin;
        all.columns.insert(all.columns.end(), parts[part].columns.begin(),
                           parts[part].columns.end());
        all.bands.push_back(parts[part].twin + " " + parts[part].area);
        all.band.insert(all.band.end(), parts[part].columns.size(),
                        static_cast<std::uint32_t>(part));
    }
    return all;
}

}  // namespace

std::vector<FeatureSet> feature_sets(
    const Table& units, const std::vector<std::pair<std::string, std::string>>& untrained,
    bool together)
{
    const auto trained_name = [&](const std::string& twin) -> const std::string* {
        for (const auto& [name, trained] : untrained)
            if (name == twin) return &trained;
        return nullptr;
    };
    std::vector<FeatureSet> sets = one_per_area(units);
    for (FeatureSet& set : sets) set.is_untrained = trained_name(set.twin) != nullptr;
    if (together) {
        std::vector<FeatureSet> trained;
        std::vector<FeatureSet> drawn;
        for (FeatureSet& set : sets) (set.is_untrained ? drawn : trained).push_back(std::move(set));
        sets = {joined(trained)};
        if (!drawn.empty()) sets.push_back(joined(drawn));
        // Only a network of the same taps is a fair comparison.
        if (drawn.size() == trained.size()) sets[0].untrained = 1;
        return sets;
    }
    for (FeatureSet& set : sets) {
        if (set.is_untrained) continue;
        for (std::size_t other = 0; other < sets.size(); ++other)
            if (sets[other].is_untrained && *trained_name(sets[other].twin) == set.twin &&
                sets[other].area == set.area)
                set.untrained = other;
    }
    return sets;
}

std::vector<double> gathered(const FeatureSet& set, std::span<const float> rows, std::size_t all)
{
    const std::size_t count = rows.size() / all;
    std::vector<double> result(count * set.columns.size());
    double* to = result.data();
    for (std::size_t row = 0; row < count; ++row)
        for (const std::uint32_t column : set.columns)
            *to++ = static_cast<double>(rows[row * all + column]);
    return result;
}

}  // namespace twinscreen
