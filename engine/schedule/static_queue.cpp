#include <mutex>
#include <utility>

#include "engine/schedule/service_protocol.hpp"
#include "engine/schedule/work_list.hpp"

namespace twinscreen {

namespace {

constexpr std::chrono::milliseconds letter_patience{100};

class StaticQueue final : public ShardQueue {
public:
    StaticQueue(const Plan& plan, const OpenWork& work, Communicator& communicator,
                QueueOptions options)
        : communicator_(communicator),
          mailbox_(communicator.open_mailbox()),
          work_(plan, work),
          options_(std::move(options)),
          position_(static_cast<std::size_t>(communicator.rank())),
          reported_(plan.shards())
    {
    }

    Instruction next() override
    {
        if (options_.stop != nullptr && *options_.stop) return Finish{true};
        if (position_ >= work_.size()) return Finish{false};
        const std::size_t mine = position_;
        position_ += static_cast<std::size_t>(communicator_.size());
        return work_.at(mine);
    }

    std::optional<Instruction> try_next() override
    {
        if (position_ >= work_.size()) return std::nullopt;
        return next();
    }

    void completed(const ShardReport& report) override
    {
        const std::lock_guard lock(mutex_);
        reports_.push_back(report);
    }

    bool drain() override
    {
        const std::lock_guard lock(mutex_);
        std::byte complete{};
        if (communicator_.rank() == 0) {
            absorb(reports_);
            for (int others = 1; others < communicator_.size(); ++others) absorb(receive());
            complete = std::byte{reported_count_ == work_.size()};
        } else {
            RankNote note;
            note.reports = reports_;
            mailbox_->send(0, encode(note));
        }
        communicator_.broadcast(std::span(&complete, 1), 0);
        return complete != std::byte{};
    }

private:
    std::vector<ShardReport> receive()
    {
        for (;;)
            if (const auto letter = mailbox_->receive(letter_patience))
                return decode_rank_note(letter->message).reports;
    }

    void absorb(const std::vector<ShardReport>& reports)
    {
        for (const ShardReport& report : reports) {
            if (reported_.at(index_of(report.shard))) continue;
            reported_[index_of(report.shard)] = true;
            ++reported_count_;
            if (options_.absorb) options_.absorb(report);
        }
    }

    Communicator& communicator_;
    std::unique_ptr<Mailbox> mailbox_;
    WorkList work_;
    QueueOptions options_;
    std::size_t position_;
    std::mutex mutex_;  // of reports_
    std::vector<ShardReport> reports_;
    std::vector<bool> reported_;
    std::size_t reported_count_ = 0;
};

}  // namespace

std::unique_ptr<ShardQueue> make_static_queue(const Plan& plan, const OpenWork& work,
                                              Communicator& communicator, QueueOptions options)
{
    return std::make_unique<StaticQueue>(plan, work, communicator, std::move(options));
}

}  // namespace twinscreen
