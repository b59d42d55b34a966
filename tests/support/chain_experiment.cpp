#include "tests/support/chain_experiment.hpp"

#include <array>
#include <cstring>

#include "engine/base/digest.hpp"

namespace twinscreen::test {
namespace {

class ChainExperiment final : public Experiment {
public:
    ChainExperiment(std::uint64_t shards, std::uint64_t steps, ChainProbe& probe)
        : shards_(shards), steps_(steps), probe_(probe)
    {
    }

    std::optional<StagePlan> next_stage(const CampaignInputs&, const StageHistory& history) override
    {
        if (history.has("chains")) return std::nullopt;
        StagePlan stage;
        stage.plan.stage = "chains";
        stage.plan.items = shards_;
        stage.columns = {{"end", Domain::item, ElementType::u64, {}, "", "end of the chain"}};
        stage.tables.items = shards_;
        stage.tables.describe_items = [](ItemRange items) {
            return Table{{{"chain", "", std::vector<std::int64_t>(items.count)}}};
        };
        stage.settings = {{"steps", std::to_string(steps_)}};
        stage.forward = std::make_shared<ForwardPlan>(
            std::span<Twin>{}, std::span<const TwinCovariates>{}, ForwardWants{false, false});
        stage.reads_stimuli = false;
        stage.items_are = "chains";
        return stage;
    }

    ItemRange reads(const Shard&) const override { return {}; }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        std::array<std::uint64_t, 2> state{0, tools.seed + index_of(shard.id)};  // step, value
        const std::vector<std::byte> saved = tools.scratch.load();
        if (!saved.empty()) std::memcpy(state.data(), saved.data(), sizeof(state));
        while (state[0] < steps_) {
            if (probe_.before_step) probe_.before_step(index_of(shard.id), state[0]);
            state[1] = checksum_of(std::as_bytes(std::span(state)));
            ++state[0];
            ++probe_.steps;
            tools.scratch.save_if_due([&] {
                const auto bytes = std::as_bytes(std::span(state));
                return std::vector<std::byte>(bytes.begin(), bytes.end());
            });
        }
        OwnedBatch end(ElementType::u64, Shape{1});
        end.values<std::uint64_t>()[0] = state[1];
        tools.write(ColumnId{0}, std::move(end));
    }

private:
    std::uint64_t shards_;
    std::uint64_t steps_;
    ChainProbe& probe_;
};

}  // namespace

Campaign chain_campaign(std::uint64_t shards, std::uint64_t steps, ChainProbe& probe,
                        std::vector<std::string> overrides)
{
    ExperimentRegistry registry;
    registry.add({"chain", "a chain", "",
                  [=, &probe](ConfigSection&) {
                      return std::make_unique<ChainExperiment>(shards, steps, probe);
                  },
                  false});
    const std::string text = R"(
seed = 7
[[stimuli]]
[stimuli.gratings]
orientation = 0.0
spatial_frequency = 1.0
[chain]
)";
    return load_campaign({text, "chain.toml", {}, std::move(overrides)}, registry);
}

}  // namespace twinscreen::test
