#include "engine/run/input_reader.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>

#include "engine/base/background_thread.hpp"
#include "engine/base/log.hpp"
#include "engine/base/stopwatch.hpp"

namespace twinscreen {
namespace {

/// Fills one batch: the only place where stimuli become network inputs.
class BatchFiller {
public:
    BatchFiller(const StimulusSource& source, std::vector<InputTransform> canvases,
                std::vector<CovariateBinding> bindings, const ReaderSettings& settings)
        : source_(source),
          canvases_(std::move(canvases)),
          bindings_(std::move(bindings)),
          settings_(settings)
    {
    }

    void fill(ItemRange items, InputBatch& batch) const
    {
        prepare(items, batch);
        for (std::uint64_t row = 0; row < items.count; ++row)
            fill_row(items.first + row, row, batch);
        fill_covariates(batch);
    }

private:
    void prepare(ItemRange items, InputBatch& batch) const
    {
        batch.items = items;
        batch.luminance.assign(items.count, 0.0);
        batch.valid.assign(items.count, 1);
        if (settings_.pack_for != nullptr) {
            if (batch.pictures)
                batch.pictures->clear();
            else
                batch.pictures.emplace(*settings_.pack_for, canvases_, settings_.batch_items,
                                       settings_.most_picture_bytes);
            return;
        }
        if (batch.canvases.size() == canvases_.size()) return;  // a recycled batch
        for (const InputTransform& canvas : canvases_)
            batch.canvases.emplace_back(ElementType::f32,
                                        canvas.row_shape().with_rows(settings_.batch_items));
        for (OwnedBatch& canvas : batch.canvases) std::ranges::fill(canvas.values<float>(), 0.0F);
    }

    void fill_row(ItemId item, std::uint64_t row, InputBatch& batch) const
    {
        try {
            draw_row(item, row, batch);
        } catch (Error& error) {
            error.add_context(fmt::format("item {} of the campaign", index_of(item)));
            if (settings_.on_bad_image == BadImage::stop || error.kind() != Error::Kind::data)
                throw;
            spdlog::warn("recorded as NaN: {}", error.what());
            batch.valid[row] = 0;
            batch.luminance[row] = std::numeric_limits<double>::quiet_NaN();
            if (batch.pictures) batch.pictures->blank(static_cast<std::int64_t>(row));
            for (OwnedBatch& canvas : batch.canvases) {
                const Batch bad = rows_of(canvas.view(), static_cast<std::int64_t>(row), 1);
                std::ranges::fill(values_of<float>(bad), 0.0F);
            }
        }
    }

    void draw_row(ItemId item, std::uint64_t row, InputBatch& batch) const
    {
        const auto at = static_cast<std::int64_t>(row);
        if (canvases_.empty()) {
            batch.luminance[row] = mean_luminance(source_.draw(item, InputTransform{}));
            return;
        }
        const std::size_t canvases_of_one = source_.drawn_for_canvas() ? 1 : canvases_.size();
        for (std::size_t first = 0; first < canvases_.size(); first += canvases_of_one) {
            const Picture picture = source_.draw(item, canvases_[first]);
            if (first == 0) batch.luminance[row] = mean_luminance(picture);
            if (batch.pictures) {
                batch.pictures->add(at, first, canvases_of_one, picture);
                continue;
            }
            for (std::size_t canvas = first; canvas < first + canvases_of_one; ++canvas)
                apply_transform(canvases_[canvas], picture,
                                rows_of(batch.canvases[canvas].view(), at, 1));
        }
    }

    void fill_covariates(InputBatch& batch) const
    {
        if (bindings_.empty()) return;
        const Table described = source_.describe(batch.items);
        batch.covariates.clear();
        for (const CovariateBinding& binding : bindings_)
            batch.covariates.push_back(covariate_values(
                binding, described, index_of(batch.items.first), settings_.batch_items));
    }

    const StimulusSource& source_;
    std::vector<InputTransform> canvases_;
    std::vector<CovariateBinding> bindings_;
    ReaderSettings settings_;
};

/// Batches are numbered in the order in which they will be used. Threads take the next number as
/// long as it is less than `depth` ahead of the one in use; a slot is reused after that.
class PooledReader final : public InputReader, public InputStream {
public:
    PooledReader(const StimulusSource& source, const std::vector<InputTransform>& canvases,
                 const std::vector<CovariateBinding>& bindings, const ReaderSettings& settings)
        : filler_(source, canvases, bindings, settings),
          settings_(settings),
          slots_(static_cast<std::size_t>(std::max(settings.depth, 1) + settings.threads))
    {
        for (int thread = 0; thread < settings.threads; ++thread)
            threads_.emplace_back([this](std::stop_token stop) { work(stop); });
    }

    ~PooledReader() override
    {
        {
            const std::scoped_lock lock(mutex_);
            for (std::jthread& thread : threads_) thread.request_stop();
        }
        work_changed_.notify_all();
    }

    void announce(const Shard& shard, ItemRange stimuli) override
    {
        const std::scoped_lock lock(mutex_);
        std::uint64_t batches = 0;
        for (std::uint64_t done = 0; done < stimuli.count; done += settings_.batch_items) {
            tasks_.push_back({stimuli.first + done, std::min<std::uint64_t>(settings_.batch_items,
                                                                            stimuli.count - done)});
            ++batches;
        }
        announced_.push_back({shard.id, batches});
        work_changed_.notify_all();
    }

    InputStream& open(const Shard& shard) override
    {
        const std::scoped_lock lock(mutex_);
        release_current();
        TWINSCREEN_REQUIRE(batches_left_ == 0, internal,
                           "shard {} was opened before the last batch of the one before was read",
                           index_of(shard.id));
        TWINSCREEN_REQUIRE(!announced_.empty() && announced_.front().shard == shard.id, internal,
                           "shard {} was opened but not announced next", index_of(shard.id));
        batches_left_ = announced_.front().batches;
        announced_.pop_front();
        fill_s_ = wait_s_ = 0.0;
        return *this;
    }

    bool wants_more() const override
    {
        const std::scoped_lock lock(mutex_);
        return tasks_.size() < static_cast<std::size_t>(settings_.threads);
    }

    const InputBatch* next() override
    {
        std::unique_lock lock(mutex_);
        release_current();
        if (batches_left_ == 0) return nullptr;
        if (settings_.stop != nullptr && settings_.stop->load()) throw StopRequested{};
        Slot& slot = slots_[in_use_ % slots_.size()];
        const Stopwatch waited;
        work_changed_.wait(lock, [&] { return slot.filled == in_use_ + 1; });
        wait_s_ += waited.seconds();
        fill_s_ += slot.fill_s;
        holding_ = true;
        --batches_left_;
        if (slot.error) std::rethrow_exception(slot.error);
        return &slot.batch;
    }

    double fill_s() const noexcept override { return fill_s_; }
    double wait_s() const noexcept override { return wait_s_; }

private:
    struct Slot {
        InputBatch batch;
        std::uint64_t filled = 0;  // 1 + number of the batch it holds
        double fill_s = 0.0;
        std::exception_ptr error;
    };
    struct Announced {
        ShardId shard{};
        std::uint64_t batches = 0;
    };

    void release_current()
    {
        if (!holding_) return;
        holding_ = false;
        ++in_use_;
        work_changed_.notify_all();
    }

    void work(const std::stop_token& stop)
    {
        give_way();
        std::unique_lock lock(mutex_);
        while (true) {
            work_changed_.wait(lock, [&] {
                return stop.stop_requested() ||
                       (!tasks_.empty() && next_task_ < in_use_ + slots_.size());
            });
            if (stop.stop_requested()) return;
            const std::uint64_t number = next_task_++;
            const ItemRange items = tasks_.front();
            tasks_.pop_front();
            Slot& slot = slots_[number % slots_.size()];
            lock.unlock();
            const Stopwatch filling;
            std::exception_ptr error;
            try {
                filler_.fill(items, slot.batch);
            } catch (...) {
                error = std::current_exception();
            }
            lock.lock();
            slot.fill_s = filling.seconds();
            slot.error = error;
            slot.filled = number + 1;
            work_changed_.notify_all();
        }
    }

    BatchFiller filler_;
    ReaderSettings settings_;
    mutable std::mutex mutex_;
    std::condition_variable work_changed_;
    std::deque<ItemRange> tasks_;
    std::deque<Announced> announced_;
    std::vector<Slot> slots_;
    std::uint64_t next_task_ = 0;  // number of the first task in tasks_
    std::uint64_t in_use_ = 0;     // number of the batch that the stream gives out (next)
    std::uint64_t batches_left_ = 0;
    bool holding_ = false;
    double fill_s_ = 0.0;
    double wait_s_ = 0.0;
    std::vector<std::jthread> threads_;  // last: joined before everything above goes away
};

}  // namespace

std::unique_ptr<InputReader> make_input_reader(const StimulusSource& source,
                                               const std::vector<InputTransform>& canvases,
                                               const std::vector<CovariateBinding>& bindings,
                                               const ReaderSettings& settings)
{
    return std::make_unique<PooledReader>(source, canvases, bindings, settings);
}

}  // namespace twinscreen
