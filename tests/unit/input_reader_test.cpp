#include "engine/run/input_reader.hpp"

#include <gtest/gtest.h>

#include "tests/support/fake_twin.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

InputTransform small_canvas()
{
    InputTransform canvas;
    canvas.height = canvas.width = 2;
    canvas.fit = InputTransform::Fit::exact;
    canvas.mean = {0.0F};
    canvas.scale = {1.0F};
    return canvas;
}

ReaderSettings settings_with(int threads)
{
    ReaderSettings settings;
    settings.batch_items = 4;
    settings.threads = threads;
    settings.depth = 2;
    return settings;
}

TEST(InputReader, GivesEveryItemOfEveryShardInOrderWhateverTheNumberOfThreads)
{
    const auto source = test::make_fake_source(100);
    for (const int threads : {1, 3}) {
        const auto reader =
            make_input_reader(*source, {small_canvas()}, {}, settings_with(threads));
        std::vector<float> seen;
        std::vector<Shard> shards;
        for (std::uint64_t first = 0; first < 100; first += 10)
            shards.push_back({ShardId{first / 10}, {ItemId{first}, 10}});
        for (const Shard& shard : shards) reader->announce(shard, shard.items);

        for (const Shard& shard : shards) {
            InputStream& stream = reader->open(shard);
            while (const InputBatch* batch = stream.next())
                for (std::uint64_t row = 0; row < batch->items.count; ++row)
                    seen.push_back(batch->canvases[0].values<float>()[row * 4]);
        }

        ASSERT_EQ(seen.size(), 100U);
        for (std::size_t item = 0; item < seen.size(); ++item)
            EXPECT_EQ(seen[item], static_cast<float>(item));
    }
}

TEST(InputReader, AStopRequestEndsTheShard)
{
    const auto source = test::make_fake_source(100);
    std::atomic<bool> stop{false};
    ReaderSettings settings = settings_with(1);
    settings.stop = &stop;
    const auto reader = make_input_reader(*source, {small_canvas()}, {}, settings);
    const Shard shard{ShardId{0}, {ItemId{0}, 100}};
    reader->announce(shard, shard.items);
    InputStream& stream = reader->open(shard);
    stream.next();

    stop = true;

    EXPECT_THROW(stream.next(), StopRequested);
}

TEST(InputReader, ABrokenImageStopsTheShardByDefault)
{
    const auto source = test::make_fake_source(8, {5});
    const auto reader = make_input_reader(*source, {small_canvas()}, {}, settings_with(2));
    const Shard shard{ShardId{0}, {ItemId{0}, 8}};
    reader->announce(shard, shard.items);
    InputStream& stream = reader->open(shard);
    stream.next();

    EXPECT_EQ(test::error_text([&] { stream.next(); }),
              "item 5 is broken\n  item 5 of the campaign");
}

}  // namespace
}  // namespace twinscreen
