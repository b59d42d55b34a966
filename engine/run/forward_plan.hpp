#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/device/placed_array.hpp"
#include "engine/run/arithmetic_error.hpp"
#include "engine/run/covariates.hpp"
#include "engine/run/input_reader.hpp"
#include "engine/twin/arithmetic.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// What an experiment wants of every stimulus.
struct ForwardWants {
    bool units = false;  ///< responses of all kept units
    bool areas = false;  ///< means over the kept units of each (twin, subject, area)
};

/// What becomes of the responses of a batch where they were computed.
struct Folding {
    /// Stream-ordered work on f32 [items, units] and [items, areas] in the executor's memory, which
    /// the next batch overwrites; batches come in the order in which they were started. NaN in rows
    /// of invalid items.
    std::function<void(ItemRange items, ConstBatch units, ConstBatch areas)> fold;
    ForwardWants sent;  ///< of what is wanted: what goes to the host as well
};

/// The passes that one batch of stimuli takes through all twins of a campaign: twins that share
/// transform and backbone run it once, area means are folded into the readouts where these are
/// linear and nobody asked for the units.
class ForwardPlan {
public:
    /// `twins` must outlive the plan; `covariates` holds one entry per twin.
    ForwardPlan(std::span<Twin> twins, std::span<const TwinCovariates> covariates,
                ForwardWants wants);
    ~ForwardPlan();
    ForwardPlan(ForwardPlan&&) noexcept;

    /// Distinct network inputs; input batches hold one canvas for each.
    const std::vector<InputTransform>& canvases() const noexcept { return canvases_; }
    /// Distinct covariate bindings; input batches hold one array for each.
    const std::vector<CovariateBinding>& bindings() const noexcept { return bindings_; }
    /// Unit tables of all twins, one after the other, with a first column "twin".
    const Table& units() const noexcept { return units_; }
    /// One row per (twin, subject, area), in order of appearance: twin, subject, area, unit_count.
    const Table& areas() const noexcept { return areas_; }
    /// Columns of `units` and `areas` of a batch: 0 where they are not wanted.
    std::size_t unit_columns() const noexcept { return wants_.units ? unit_count_ : 0; }
    std::size_t area_columns() const noexcept { return wants_.areas ? area_count_ : 0; }
    /// Unit of all responses; empty where the twins differ in it.
    std::string response_unit() const;
    /// Rows of a batch that all compute batches divide, where images run one by one.
    std::uint32_t batch_multiple() const noexcept { return batch_multiple_; }
    /// Multiply-accumulates of one stimulus.
    double macs_per_item() const;
    /// Weights and largest activations [bytes].
    std::size_t memory_bytes() const;

    /// Responses of one input batch, in host memory. Rows of invalid items are NaN. Networks take
    /// their own compute batches, or the whole batch where the executor wants that. Throws
    /// Error(device) when a GPU fails. Independent; one thread; the
    /// executor must outlive the plan.
    ///
    /// units  f32 [rows, units], ignored unless wanted; rows >= the batch's item count
    /// areas  f32 [rows, areas], ignored unless wanted
    void run(const InputBatch& batch, Batch units, Batch areas, Executor& executor);

    /// The same in two halves, for executors that want whole batches: `start` gives the work to the
    /// executor and returns; up to two batches may be on their way. The batch must stay as it is
    /// until `wait_for_inputs`, which waits for the last one started.
    void start(const InputBatch& batch, Executor& executor, const Folding* folding = nullptr);
    void wait_for_inputs();
    /// In pinned memory, until the next `start`.
    struct Responses {
        Batch units;  ///< f32 [rows, units]; only where wanted and sent
        Batch areas;  ///< f32 [rows, areas]; only where wanted and sent
    };
    /// Of the batch that was started first.
    Responses finish();
    /// Waits for whatever is on its way, and forgets it.
    void forget_started();
    /// Of the executor; taken again by the next batch.
    void give_back_memory();

    /// Of the networks, from the next batch on; float32 where an executor does not take whole
    /// batches.
    void multiply_in(Arithmetic arithmetic);
    Arithmetic arithmetic() const noexcept { return arithmetic_; }
    /// Full batches are recorded after some, and replayed; only where whole batches are computed.
    void replay_passes(bool replays);
    /// The next batch is computed in float32 too, where it would not be anyway.
    void compare_next_batch() noexcept { compare_next_ = true; }
    const ArithmeticError& arithmetic_error() const noexcept { return arithmetic_error_; }

    /// One line per backbone pass, for `plan`.
    struct PassSummary {
        std::string twins;  ///< "v4_190923" or "subject 1, subject 2"
        std::string input;  ///< "112x112x3"
        std::size_t networks = 0;
        std::size_t readouts = 0;
        bool folded = false;
        double macs = 0;        ///< per stimulus, as planned
        double naive_macs = 0;  ///< every twin alone, every unit computed
    };
    std::vector<PassSummary> summarise() const;

private:
    struct Job;        // one readout of a pass and where its outputs go
    struct Pass;       // one backbone and its jobs
    struct Workspace;  // memory where the passes run

    void build_tables();
    void add_part(std::size_t twin, TwinPart& part, std::size_t first_unit);
    Pass& pass_for(std::size_t twin, const std::shared_ptr<Backbone>& backbone);
    void list_area_members();
    Workspace& workspace_for(const InputBatch& batch, Executor& executor);
    void place_inputs(const InputBatch& batch, Workspace& workspace) const;
    void run_pass(Pass& pass, std::int64_t rows, Arithmetic arithmetic, Workspace& workspace) const;
    void place_outputs(const Job& job, ConstBatch outputs, std::int64_t first_row,
                       std::int64_t rows, Workspace& workspace) const;
    void compute(std::int64_t rows, Arithmetic arithmetic, Workspace& workspace) const;
    void compute_or_replay(std::int64_t rows, Workspace& workspace) const;
    void forget_recording();
    bool begin_comparison(const InputBatch& batch, Workspace& workspace);
    void blank_invalid_rows(const InputBatch& batch, Workspace& workspace) const;
    void send_back(const InputBatch& batch, ForwardWants sent, bool is_compared,
                   Workspace& workspace) const;
    void blank_invalid_rows(std::span<const std::uint8_t> valid, Batch units, Batch areas) const;

    std::span<Twin> twins_;
    std::span<const TwinCovariates> covariates_;
    ForwardWants wants_;
    std::vector<InputTransform> canvases_;
    std::vector<CovariateBinding> bindings_;
    Table units_;
    Table areas_;
    std::vector<std::size_t> area_of_unit_;
    std::vector<double> area_weight_;  // 1 / units of the area
    std::vector<std::size_t> unfolded_units_;
    std::vector<std::unique_ptr<Pass>> passes_;
    std::uint32_t batch_multiple_ = 1;
    std::size_t unit_count_ = 0;
    std::size_t area_count_ = 0;
    Arithmetic arithmetic_ = Arithmetic::float32;
    bool compare_next_ = false;
    bool replays_ = false;
    ArithmeticError arithmetic_error_;

    PlacedArray<std::int32_t> member_first_;  // of the unfolded units, by area
    PlacedArray<std::int32_t> member_unit_;
    PlacedArray<double> member_weight_;
    std::unique_ptr<Workspace> workspace_;  // made by the first batch
};

}  // namespace twinscreen
