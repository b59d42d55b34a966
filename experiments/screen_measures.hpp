#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"

namespace twinscreen {

/// Responses of the items of one batch. Of whole batches, measures that fold are given them where
/// they were computed, all others on the host.
struct ResponseRows {
    ItemRange items;
    ConstBatch units;  ///< f32 [items, units]; empty unless a measure wants units
    ConstBatch areas;  ///< f32 [items, areas]; empty unless a measure wants areas
};

/// One thing that a screen records. A measure belongs to one rank and sees one shard at a time.
class Measure {
public:
    virtual ~Measure() = default;
    virtual ForwardWants wants() const = 0;
    /// Keeps less than the responses, and can do so where they were computed.
    virtual bool folds() const { return false; }
    /// Throws Error(config) for settings that do not fit the units.
    virtual void check(const Table& units) const { static_cast<void>(units); }
    /// Appends this measure's columns and the axes that they need; called once, before any shard.
    virtual void declare(const ForwardPlan& forward, std::vector<ColumnSpec>& columns,
                         std::vector<StageTables::AxisTable>& axes) = 0;
    virtual void start(const Shard& shard, Executor& executor) = 0;
    virtual void add(const ResponseRows& rows) = 0;
    virtual void finish(const std::function<void(ColumnId, OwnedBatch)>& write) = 0;
    /// Rank 0: the summary over all shards, in shard order.
    virtual void combine(const StageResults&, SummaryRows&) {}
};

/// Responses of units, one row per item.
///
/// type    f32, or f16 (nearest, relative error at most 2^-11)
/// filter  over the unit table; empty: all units
std::unique_ptr<Measure> make_unit_measure(ElementType type, std::string filter);
/// Mean over the kept units of each area, one row per item.
std::unique_ptr<Measure> make_area_mean_measure();
/// Count, mean, variance, skewness and lifetime sparseness (Vinje & Gallant 2000) of each unit.
std::unique_ptr<Measure> make_moment_measure();
/// Items with the `kept` largest and smallest responses, per area or per unit.
enum class RankedOver { areas, units };
std::unique_ptr<Measure> make_top_measure(RankedOver over, std::size_t kept);
/// Counts of each unit's responses between fixed edges.
std::unique_ptr<Measure> make_histogram_measure(std::vector<float> edges);

}  // namespace twinscreen
