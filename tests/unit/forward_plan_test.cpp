#include "engine/run/forward_plan.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_twin.hpp"

namespace twinscreen {
namespace {

using test::FakeTwinOptions;
using test::make_fake_twin;
using ::testing::ElementsAre;

/// Items 0..count-1 of the fake source, read in one batch of `rows`.
class ForwardPlanTest : public ::testing::Test {
protected:
    const InputBatch& read(const ForwardPlan& plan, std::uint64_t count, std::uint32_t rows,
                           std::vector<std::uint64_t> bad = {})
    {
        source_ = test::make_fake_source(count, std::move(bad));
        ReaderSettings settings;
        settings.batch_items = rows;
        settings.on_bad_image = BadImage::record_nan;
        reader_ = make_input_reader(*source_, plan.canvases(), plan.bindings(), settings);
        const Shard shard{ShardId{0}, {ItemId{0}, count}};
        reader_->announce(shard, shard.items);
        return *reader_->open(shard).next();
    }

    std::vector<float> areas_of(ForwardPlan& plan, const InputBatch& batch)
    {
        const auto rows = static_cast<std::int64_t>(batch.items.count);
        OwnedBatch areas(ElementType::f32, {rows, static_cast<std::int64_t>(plan.areas().rows())});
        plan.run(batch, Batch{}, areas.view(), *executor_);
        const auto values = areas.values<float>();
        return {values.begin(), values.end()};
    }

    std::unique_ptr<StimulusSource> source_;
    std::unique_ptr<InputReader> reader_;
    std::unique_ptr<Executor> executor_ = make_host_executor();
};

TEST_F(ForwardPlanTest, TwinsWithTheSameBackboneRunItOnce)
{
    std::vector<Twin> twins;
    for (const char* name : {"a", "b", "c"}) {
        FakeTwinOptions options;
        options.name = name;
        twins.push_back(make_fake_twin(options));
    }
    const std::vector<TwinCovariates> none(3);
    ForwardPlan plan(twins, none, {true, false});
    const InputBatch& batch = read(plan, 4, 4);
    OwnedBatch units(ElementType::f32, {4, 9});

    const auto before = test::forward_calls();
    plan.run(batch, units.view(), Batch{}, *executor_);

    EXPECT_EQ(test::forward_calls() - before, 2);  // 4 items in compute batches of 2
    EXPECT_EQ(units.values<float>()[3 * 9 + 8], 3.0F * 12.0F);
    ASSERT_EQ(plan.summarise().size(), 1U);
    EXPECT_EQ(plan.summarise()[0].readouts, 3U);
}

TEST_F(ForwardPlanTest, FoldedAreaMeansEqualMeansOfUnits)
{
    for (const bool linear : {true, false}) {
        FakeTwinOptions options;
        options.units = 4;
        options.areas = {"V1", "V4", "V4", "V1"};
        options.linear = linear;
        options.backbone = linear ? "folds" : "does not fold";
        std::vector<Twin> twins;
        twins.push_back(make_fake_twin(options));
        const std::vector<TwinCovariates> none(1);
        ForwardPlan plan(twins, none, {false, true});

        const InputBatch& batch = read(plan, 2, 2);
        const std::vector<float> areas = areas_of(plan, batch);

        // Item 1 has pixel sum 4: units 4, 8, 12, 16, or their squares.
        EXPECT_EQ(plan.summarise()[0].folded, linear);
        if (linear)
            EXPECT_THAT(areas, ElementsAre(0.0F, 0.0F, 10.0F, 10.0F));
        else
            EXPECT_THAT(areas, ElementsAre(0.0F, 0.0F, 136.0F, 104.0F));
    }
}

TEST_F(ForwardPlanTest, AnItemThatCouldNotBeReadIsNaNAndItsNeighboursAreNot)
{
    std::vector<Twin> twins;
    twins.push_back(make_fake_twin({}));
    const std::vector<TwinCovariates> none(1);
    ForwardPlan plan(twins, none, {false, true});

    const InputBatch& batch = read(plan, 3, 4, {1});
    const std::vector<float> areas = areas_of(plan, batch);

    EXPECT_EQ(areas[0], 0.0F);
    EXPECT_TRUE(std::isnan(areas[1]));
    EXPECT_EQ(areas[2], 16.0F);
}

TEST_F(ForwardPlanTest, CovariatesComeFromConstantsOrItemColumns)
{
    FakeTwinOptions options;
    options.backbone = "with covariates";
    options.units = 1;
    options.covariates = {{"behavior", 2, ""}};
    std::vector<Twin> twins;
    for (const char* name : {"constant", "columns"}) {
        options.name = name;
        twins.push_back(make_fake_twin(options));
    }
    const std::vector<TwinCovariates> covariates{{{"behavior", {0.5, 0.25}, {}}},
                                                 {{"behavior", {}, {"value", "value"}}}};
    ForwardPlan plan(twins, covariates, {true, false});

    const InputBatch& batch = read(plan, 2, 2);
    OwnedBatch units(ElementType::f32, {2, 2});
    plan.run(batch, units.view(), Batch{}, *executor_);

    EXPECT_THAT(units.values<float>(), ElementsAre(0.75F, 0.0F, 4.75F, 6.0F));
}

}  // namespace
}  // namespace twinscreen
