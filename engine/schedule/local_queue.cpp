#include <exception>
#include <mutex>
#include <utility>

#include "engine/schedule/work_list.hpp"

namespace twinscreen {

namespace {

using Clock = std::chrono::steady_clock;

class LocalQueue final : public ShardQueue {
public:
    LocalQueue(const Plan& plan, const OpenWork& work, QueueOptions options)
        : work_(plan, work),
          options_(std::move(options)),
          epoch_(options_.first_epoch),
          checkpoint_due_(Clock::now() + options_.checkpoint_interval),
          reported_(plan.shards())
    {
    }

    Instruction next() override
    {
        rethrow_failure();
        if (options_.stop != nullptr && *options_.stop) return Finish{true};
        if (next_position_ == work_.size()) return Finish{false};
        if (const auto now = Clock::now(); now >= checkpoint_due_) {
            checkpoint_due_ = now + options_.checkpoint_interval;
            return JoinCheckpoint{epoch_++};
        }
        return work_.at(next_position_++);
    }

    std::optional<Instruction> try_next() override
    {
        // Finish is left to `next`: a checkpoint or a stop may still come before it.
        if (next_position_ == work_.size()) return std::nullopt;
        return next();
    }

    void completed(const ShardReport& report) override
    {
        const std::lock_guard lock(mutex_);
        if (reported_.at(index_of(report.shard)) || failure_) return;
        reported_[index_of(report.shard)] = true;
        ++reported_count_;
        try {
            if (options_.absorb) options_.absorb(report);
        } catch (...) {
            failure_ = std::current_exception();
        }
    }

    bool drain() override
    {
        rethrow_failure();
        const std::lock_guard lock(mutex_);
        return reported_count_ == work_.size();
    }

private:
    void rethrow_failure()
    {
        const std::lock_guard lock(mutex_);
        if (failure_) std::rethrow_exception(failure_);
    }

    WorkList work_;
    QueueOptions options_;
    std::uint32_t epoch_;
    Clock::time_point checkpoint_due_;
    std::size_t next_position_ = 0;
    std::mutex mutex_;  // of what `completed` touches
    std::vector<bool> reported_;
    std::size_t reported_count_ = 0;
    std::exception_ptr failure_;
};

}  // namespace

std::unique_ptr<ShardQueue> make_local_queue(const Plan& plan, const OpenWork& work,
                                             QueueOptions options)
{
    return std::make_unique<LocalQueue>(plan, work, std::move(options));
}

}  // namespace twinscreen
