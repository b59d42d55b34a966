#include "experiments/fit_readout/fit_settings.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace twinscreen {
namespace {

/// From the least to the largest in equal ratios.
std::vector<double> ladder(double from, double to, std::int64_t steps)
{
    std::vector<double> values;
    for (std::int64_t step = 0; step < steps; ++step)
        values.push_back(
            std::exp(std::lerp(std::log(from), std::log(to),
                               static_cast<double>(step) / static_cast<double>(steps - 1))));
    values.back() = to;
    return values;
}

std::vector<double> read_lambdas(ConfigSection& section, std::vector<double> usual)
{
    if (!section.holds_table("lambda")) {
        const Rule<std::vector<double>> ascending{
            [](const std::vector<double>& values) {
                return !values.empty() && values.front() > 0.0 &&
                       std::ranges::adjacent_find(values, std::greater_equal<>()) == values.end();
            },
            "numbers above 0 in ascending order"};
        return section.get_or<std::vector<double>>("lambda", std::move(usual), "", ascending);
    }
    ConfigSection range = section.child("lambda");
    const auto from = range.require<double>("from", "", above(0.0));
    const auto to = range.require<double>("to", "", above(from));
    const auto steps = range.require<std::int64_t>("steps", "", in_range<std::int64_t>(2, 1000));
    range.reject_unknown_keys();
    return range.has_mistakes() ? std::vector<double>{1.0} : ladder(from, to, steps);
}

void read_split(ConfigSection& section, SplitSettings& split)
{
    split.train = read_item_span(section, "train_items");
    split.validation = read_item_span(section, "validation_items");
    split.test = read_item_span(section, "test_items");
    const Rule<std::vector<double>> three_shares{
        [](const std::vector<double>& shares) {
            return shares.size() == 3 && std::ranges::min(shares) >= 0.0 && shares[0] > 0.0 &&
                   shares[2] > 0.0 &&
                   std::abs(std::accumulate(shares.begin(), shares.end(), 0.0) - 1.0) < 1e-9;
        },
        "[train, validation, test], shares that add up to 1"};
    split.shares = section.get_or<std::vector<double>>("split", split.shares, "", three_shares);
    split.folds = static_cast<std::size_t>(
        section.get_or<std::int64_t>("folds", 5, "folds", in_range<std::int64_t>(2, 1000)));
    const bool has_ranges = split.train.count() + split.validation.count() + split.test.count() > 0;
    if (has_ranges && section.has("split"))
        section.complain("split", "the images are parted by ranges already",
                         "remove either 'split' or the ranges");
    else if (has_ranges && (split.train.count() == 0 || split.test.count() == 0))
        section.complain(split.train.count() == 0 ? "train_items" : "test_items",
                         "a range of training images needs one of test images, and the reverse",
                         "train_items = [0, 600], test_items = [600, 1200]; or split = [0.75, 0, "
                         "0.25]");
}

void read_recording_keys(ConfigSection& section, FitSettings& settings)
{
    settings.responses = section.require_existing_path("responses");
    settings.layout = section.one_of(
        "layout", "",
        {"", "units,items", "items,units", "units,items,repeats", "items,units,repeats"});
    if (section.has("unit_table"))
        settings.unit_table = section.require_existing_path("unit_table");
    settings.subject = section.get_or<std::string>("subject", "");
    settings.area = section.get_or<std::string>("area", "");
    settings.leave_out_unusable =
        section.one_of("unusable_units", "refuse", {"refuse", "leave_out"}) == "leave_out";
}

void read_ridge(ConfigSection& section, FitSettings& settings)
{
    settings.lambdas = read_lambdas(section, ladder(1.0, 1e7, 15));
    settings.standardise = section.get_or("standardise", true);
    settings.components = section.get_or<std::int64_t>("components", 0, "components",
                                                       in_range<std::int64_t>(1, 1 << 20));
    settings.together = section.one_of("features", "each", {"each", "together"}) == "together";
    settings.band_draws = static_cast<std::uint32_t>(
        section.get_or<std::int64_t>("band_draws", 0, "", in_range<std::int64_t>(1, 100000)));
    if (settings.band_draws > 0 && !settings.together)
        section.complain("band_draws", "bands are the areas of one fit on all of them",
                         "add features = \"together\"");
    if (settings.band_draws > 0 && settings.components > 0)
        section.complain("components", "principal components mix the bands",
                         "remove either 'components' or 'band_draws'");
}

void read_factorised(ConfigSection& section, FitSettings& settings)
{
    settings.lambdas = read_lambdas(section, ladder(1e-3, 1.0, 4));
    settings.rounds = static_cast<int>(section.get_or<std::int64_t>(
        "rounds", settings.rounds, "", in_range<std::int64_t>(1, 1000)));
}

}  // namespace

FitSettings read_fit_settings(ConfigSection& section)
{
    FitSettings settings;
    read_recording_keys(section, settings);
    read_split(section, settings.split);
    settings.allow_leakage =
        section.one_of("same_images", "refuse", {"refuse", "allow"}) == "allow";
    settings.factorised =
        section.one_of("readout", "ridge", {"ridge", "factorised"}) == "factorised";
    if (settings.factorised)
        read_factorised(section, settings);
    else
        read_ridge(section, settings);
    settings.untrained = section.get_or("untrained_baseline", true);
    settings.bundles = section.one_of("bundles", "best", {"best", "all", "none"});
    settings.resamples = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "bootstrap", 1000, "resamples", in_range<std::int64_t>(1, 100000)));
    settings.halvings = static_cast<std::uint32_t>(
        section.get_or<std::int64_t>("halvings", 100, "", in_range<std::int64_t>(1, 10000)));
    return settings;
}

}  // namespace twinscreen
