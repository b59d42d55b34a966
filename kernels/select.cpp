#include "kernels/select.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t block = 64;  // values per look

/// True if a value beats its column's threshold, or is NaN, or its column has a free place.
TWINSCREEN_VECTOR_CLONES
bool any_candidate(const float* __restrict__ values, const float* __restrict__ threshold,
                   float sign, std::size_t count)
{
    std::uint32_t any = 0;
    for (std::size_t i = 0; i < count; ++i) any |= !(sign * values[i] <= threshold[i]) ? 1U : 0U;
    return any != 0;
}

}  // namespace

Selection::Selection(Extreme extreme, std::size_t columns, std::size_t kept)
    : sign_(extreme == Extreme::largest ? 1.0F : -1.0F),
      kept_(kept),
      entries_(columns * kept),
      filled_(columns, 0),
      threshold_(columns, nan)
{
    TWINSCREEN_REQUIRE(kept > 0, internal, "a selection must keep at least one value");
}

void Selection::insert(std::size_t column, Ranked candidate)
{
    if (std::isnan(candidate.value)) return;
    Ranked* list = entries_.data() + column * kept_;
    std::uint32_t& filled = filled_[column];
    insert_ranked(list, filled, kept_, candidate);
    if (filled == kept_) threshold_[column] = list[kept_ - 1].value;
}

void Selection::add_rows(ConstBatch rows, std::uint64_t first_item)
{
    TWINSCREEN_REQUIRE(
        rows.shape.rank == 2 && static_cast<std::size_t>(rows.shape.extent[1]) == columns(),
        internal, "rows have shape {}, expected [rows, {}]", rows.shape.text(), columns());
    const float* values = values_of<float>(rows).data();
    const auto count = static_cast<std::size_t>(rows.shape.extent[0]);
    for (std::size_t row = 0; row < count; ++row) {
        const float* in = values + row * columns();
        for (std::size_t first = 0; first < columns(); first += block) {
            const std::size_t width = std::min(block, columns() - first);
            if (!any_candidate(in + first, &threshold_[first], sign_, width)) continue;
            for (std::size_t c = first; c < first + width; ++c)
                if (const float value = sign_ * in[c]; !(value <= threshold_[c]))
                    insert(c, {value, first_item + row});
        }
    }
}

void Selection::merge(const Selection& other)
{
    TWINSCREEN_REQUIRE(other.columns() == columns() && other.kept_ == kept_ && other.sign_ == sign_,
                       internal,
                       "selections of {} and {} columns, {} and {} values cannot be merged",
                       columns(), other.columns(), kept_, other.kept_);
    for (std::size_t c = 0; c < columns(); ++c)
        for (std::size_t i = 0; i < other.filled_[c]; ++i) insert(c, other.entries_[c * kept_ + i]);
}

std::vector<Ranked> Selection::column(std::size_t column) const
{
    std::vector<Ranked> list(
        entries_.begin() + static_cast<std::ptrdiff_t>(column * kept_),
        entries_.begin() + static_cast<std::ptrdiff_t>(column * kept_ + filled_[column]));
    for (Ranked& entry : list) entry.value *= sign_;
    return list;
}

void Selection::store(Batch values, Batch items) const
{
    const auto value = values_of<float>(values);
    const auto item = values_of<std::uint64_t>(items);
    TWINSCREEN_REQUIRE(value.size() == entries_.size() && item.size() == entries_.size(), internal,
                       "a selection of {} x {} values does not fit {} and {}", columns(), kept_,
                       values.shape.text(), items.shape.text());
    for (std::size_t c = 0; c < columns(); ++c) {
        for (std::size_t i = 0; i < kept_; ++i) {
            const std::size_t at = c * kept_ + i;
            const bool there = i < filled_[c];
            value[at] = there ? sign_ * entries_[at].value : nan;
            item[at] = there ? entries_[at].item : no_item;
        }
    }
}

Selection Selection::load(Extreme extreme, ConstBatch values, ConstBatch items)
{
    TWINSCREEN_REQUIRE(values.shape.rank == 2 && values.shape == items.shape, internal,
                       "stored selections have shapes {} and {}, expected [columns, kept]",
                       values.shape.text(), items.shape.text());
    const auto value = values_of<float>(values);
    const auto item = values_of<std::uint64_t>(items);
    Selection result(extreme, static_cast<std::size_t>(values.shape.extent[0]),
                     static_cast<std::size_t>(values.shape.extent[1]));
    for (std::size_t at = 0; at < value.size(); ++at)
        if (item[at] != no_item)
            result.insert(at / result.kept_, {result.sign_ * value[at], item[at]});
    return result;
}

Selection Selection::from_lists(Extreme extreme, std::span<const Ranked> lists,
                                std::span<const std::uint32_t> filled, std::size_t kept)
{
    Selection result(extreme, filled.size(), kept);
    for (std::size_t c = 0; c < filled.size(); ++c)
        for (std::size_t i = 0; i < filled[c]; ++i) result.insert(c, lists[c * kept + i]);
    return result;
}

}  // namespace twinscreen
