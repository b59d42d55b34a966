#pragma once

#include "engine/run/experiment.hpp"

namespace twinscreen {

/// One stage of relational control. Calls have the meaning of those of `Experiment`.
class ControlStage {
public:
    virtual ~ControlStage() = default;
    virtual std::string name() const = 0;
    /// False while something that a person has to add is missing: the campaign ends without it.
    virtual bool is_ready(const CampaignInputs&, const StageHistory&) { return true; }
    virtual StagePlan plan(const CampaignInputs&, const StageHistory&) = 0;
    virtual ItemRange reads(const Shard&) const { return {}; }
    virtual void begin(Communicator&, Executor&) {}
    virtual void run(const Shard&, ShardTools&) = 0;
    virtual SummaryRows combine(const StageResults&) { return {}; }
    virtual std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                            const std::filesystem::path& folder)
    {
        static_cast<void>(folder);
        return {};
    }
    /// A plain line for `plan`.
    virtual std::string outlook() const = 0;
};

}  // namespace twinscreen
