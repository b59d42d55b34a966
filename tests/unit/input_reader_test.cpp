#include "engine/run/input_reader.hpp"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "engine/run/prepare_batch.hpp"
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

/// Larger than the fake pictures, so that they are resized.
InputTransform rgb_canvas()
{
    InputTransform canvas;
    canvas.channels = 3;
    canvas.height = 5;
    canvas.width = 4;
    canvas.fit = InputTransform::Fit::cover;
    canvas.mean = {1.0F, 2.0F, 3.0F};
    canvas.scale = {4.0F, 5.0F, 6.0F};
    return canvas;
}

/// All rows of the real items of both canvases, with their luminance and validity.
struct Rows {
    std::vector<float> inputs;
    std::vector<double> luminance;
    std::vector<std::uint8_t> valid;
    friend bool operator==(const Rows&, const Rows&) = default;
};

void add_rows(const InputBatch& batch, const ConstBatch& canvas, Rows& rows)
{
    const auto values =
        values_of<float>(rows_of(canvas, 0, static_cast<std::int64_t>(batch.items.count)));
    rows.inputs.insert(rows.inputs.end(), values.begin(), values.end());
}

Rows read_rows(const StimulusSource& source, const ReaderSettings& settings)
{
    const std::vector<InputTransform> canvases{small_canvas(), rgb_canvas()};
    const auto reader = make_input_reader(source, canvases, {}, settings);
    const Shard shard{ShardId{0}, {ItemId{0}, source.count()}};
    reader->announce(shard, shard.items);
    InputStream& stream = reader->open(shard);
    Rows rows;
    while (const InputBatch* batch = stream.next()) {
        std::vector<OwnedBatch> made;
        std::vector<Batch> views;
        for (const InputTransform& canvas : canvases) {
            made.emplace_back(ElementType::f32, canvas.row_shape().with_rows(settings.batch_items));
            views.push_back(made.back().view());
        }
        if (settings.pack_for != nullptr)
            BatchPreparation(*settings.pack_for).prepare(*batch, canvases, views);
        for (std::size_t canvas = 0; canvas < canvases.size(); ++canvas)
            add_rows(*batch,
                     settings.pack_for != nullptr ? ConstBatch(views[canvas])
                                                  : batch->canvases[canvas].view(),
                     rows);
        rows.luminance.insert(rows.luminance.end(), batch->luminance.begin(),
                              batch->luminance.end());
        rows.valid.insert(rows.valid.end(), batch->valid.begin(), batch->valid.end());
    }
    return rows;
}

TEST(InputReader, PackedPicturesMakeTheSameRowsAsCanvases)
{
    const auto source = test::make_fake_source(50);
    const auto executor = make_emulated_executor();
    for (const int threads : {1, 3}) {
        ReaderSettings settings = settings_with(threads);
        const Rows wanted = read_rows(*source, settings);
        settings.pack_for = executor.get();

        EXPECT_EQ(read_rows(*source, settings), wanted);
    }
}

TEST(InputReader, PackedPicturesThatCannotBeReadAreRowsOfZeros)
{
    const auto source = test::make_fake_source(10, {0, 5, 9});
    const auto executor = make_emulated_executor();
    ReaderSettings settings = settings_with(1);
    settings.depth = 1;  // slots are used again
    settings.on_bad_image = BadImage::record_nan;
    const Rows wanted = read_rows(*source, settings);
    settings.pack_for = executor.get();

    const Rows found = read_rows(*source, settings);

    EXPECT_EQ(found.inputs, wanted.inputs);
    EXPECT_EQ(found.valid, (std::vector<std::uint8_t>{0, 1, 1, 1, 1, 0, 1, 1, 1, 0}));
}

TEST(InputReader, PaddingOfAPackedBatchIsZeros)
{
    const auto source = test::make_fake_source(10);
    const auto executor = make_emulated_executor();
    ReaderSettings settings = settings_with(1);
    settings.depth = 1;  // the last batch has two rows in a slot that held four
    settings.pack_for = executor.get();
    const auto reader = make_input_reader(*source, {small_canvas()}, {}, settings);
    const Shard shard{ShardId{0}, {ItemId{0}, 10}};
    reader->announce(shard, shard.items);
    InputStream& stream = reader->open(shard);
    const std::vector<InputTransform> canvases{small_canvas()};
    OwnedBatch inputs(ElementType::f32, small_canvas().row_shape().with_rows(4));
    const std::vector<Batch> views{inputs.view()};

    while (const InputBatch* batch = stream.next())
        BatchPreparation(*executor).prepare(*batch, canvases, views);

    const std::vector<float> wanted{8, 8, 8, 8, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0};
    EXPECT_TRUE(std::ranges::equal(inputs.values<float>(), wanted));
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
