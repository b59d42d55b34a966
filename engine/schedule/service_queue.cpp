#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "engine/base/log.hpp"
#include "engine/schedule/shard_client.hpp"
#include "engine/schedule/shard_server.hpp"

namespace twinscreen {

namespace {

using Clock = std::chrono::steady_clock;

/// How long the messenger looks for letters before it looks at its own rank again.
constexpr std::chrono::microseconds patience{1000};
/// Right after its own rank said something the messenger does not sleep.
constexpr std::chrono::microseconds busy_time{50};

/// Calls `absorb` from a thread of its own, so that a slow telemetry file or a paused terminal
/// never holds up the messenger.
class Absorber {
public:
    explicit Absorber(std::function<void(const ShardReport&)> absorb)
        : absorb_(std::move(absorb)), thread_([this](const std::stop_token& leave) { run(leave); })
    {
    }

    void push(const ShardReport& report)
    {
        {
            const std::lock_guard lock(mutex_);
            reports_.push_back(report);
        }
        changed_.notify_all();
    }

    void rethrow_failure()
    {
        const std::lock_guard lock(mutex_);
        if (failure_) std::rethrow_exception(failure_);
    }

    /// Waits until everything pushed so far is absorbed.
    void wait_until_idle()
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return failure_ || (reports_.empty() && !absorbing_); });
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void run(const std::stop_token& leave)
    {
        std::unique_lock lock(mutex_);
        while (changed_.wait(lock, leave, [&] { return !reports_.empty(); })) {
            const ShardReport report = reports_.front();
            reports_.pop_front();
            absorbing_ = true;
            lock.unlock();
            std::exception_ptr failure;
            try {
                absorb_(report);
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            absorbing_ = false;
            if (failure && !failure_) failure_ = failure;
            if (reports_.empty() || failure_) changed_.notify_all();
        }
    }

    std::function<void(const ShardReport&)> absorb_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<ShardReport> reports_;
    bool absorbing_ = false;
    std::exception_ptr failure_;
    std::jthread thread_;
};

class ServiceQueue final : public ShardQueue {
public:
    ServiceQueue(const Plan& plan, const OpenWork& work, Communicator& communicator,
                 QueueOptions options)
        : stop_(options.stop),
          mailbox_(communicator.open_mailbox()),
          plan_(plan),
          client_(plan_, Clock::now())
    {
        if (communicator.rank() == 0) {
            if (options.absorb) {
                absorber_.emplace(std::move(options.absorb));
                options.absorb = [this](const ShardReport& report) { absorber_->push(report); };
            }
            server_.emplace(plan_, work, communicator.size(), std::move(options), Clock::now());
        }
        messenger_ = std::jthread([this](const std::stop_token& leave) { run(leave); });
    }

    Instruction next() override
    {
        if (absorber_) absorber_->rethrow_failure();
        std::unique_lock lock(mutex_);
        for (;;) {
            if (failure_) std::rethrow_exception(failure_);
            if (auto instruction = client_.take()) return *instruction;
            client_.wait(Clock::now());
            changed_.wait(lock);
        }
    }

    std::optional<Instruction> try_next() override
    {
        const std::lock_guard lock(mutex_);
        return client_.take();
    }

    std::optional<JoinCheckpoint> try_checkpoint() override
    {
        const std::lock_guard lock(mutex_);
        return client_.take_checkpoint();
    }

    void completed(const ShardReport& report) override
    {
        const std::lock_guard lock(mutex_);
        client_.report(report);
    }

    bool drain() override
    {
        bool complete = false;
        {
            std::unique_lock lock(mutex_);
            client_.drain();
            changed_.wait(lock, [&] { return left_ || failure_; });
            if (failure_) std::rethrow_exception(failure_);
            complete = client_.complete();
        }
        if (absorber_) absorber_->wait_until_idle();
        return complete;
    }

private:
    /// The messenger: the only thread that touches the mailbox and the server.
    void run(const std::stop_token& leave)
    {
        try {
            auto busy_until = Clock::now();
            while (!leave.stop_requested() && !everything_said()) {
                const bool busy = Clock::now() < busy_until;
                auto letter = mailbox_->receive(busy ? std::chrono::microseconds{0} : patience);
                for (; letter; letter = mailbox_->receive({})) deliver(*letter);
                if (server_) send(server_->on_tick(Clock::now()));
                if (speak())
                    busy_until = Clock::now() + busy_time;
                else if (busy)
                    std::this_thread::yield();
            }
            const std::lock_guard lock(mutex_);
            left_ = true;
        } catch (...) {
            const std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
        }
        changed_.notify_all();
    }

    bool everything_said()
    {
        if (server_) return server_->everybody_left();
        const std::lock_guard lock(mutex_);
        return client_.said_goodbye();
    }

    void deliver(const Mailbox::Letter& letter)
    {
        if (server_)
            send(server_->on_message(letter.from, letter.message, Clock::now()));
        else
            hand_over(letter.message);
    }

    void hand_over(std::span<const std::byte> message)
    {
        {
            const std::lock_guard lock(mutex_);
            client_.on_message(message);
            // A main thread in the middle of a long shard looks at the flag, not at the queue.
            if (stop_ != nullptr && client_.interrupted()) *stop_ = true;
        }
        changed_.notify_all();
    }

    /// Rank 0 talks to its own server without letters.
    void send(const std::vector<ShardServer::Reply>& replies)
    {
        for (const auto& [to, message] : replies) {
            if (to == 0)
                hand_over(message);
            else
                mailbox_->send(to, message);
        }
    }

    /// Sends what this rank has to say; true if it did.
    bool speak()
    {
        std::optional<std::vector<std::byte>> note;
        {
            const std::lock_guard lock(mutex_);
            note = client_.outgoing(stop_ != nullptr && *stop_, Clock::now());
        }
        if (!note) return false;
        if (server_)
            send(server_->on_message(0, *note, Clock::now()));
        else
            mailbox_->send(0, *note);
        return true;
    }

    std::atomic<bool>* stop_;
    std::unique_ptr<Mailbox> mailbox_;
    Plan plan_;
    std::optional<Absorber> absorber_;
    std::optional<ShardServer> server_;  // on rank 0; touched by the messenger only

    std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    ShardClient client_;
    bool left_ = false;
    std::exception_ptr failure_;

    std::jthread messenger_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<ShardQueue> make_service_queue(const Plan& plan, const OpenWork& work,
                                               Communicator& communicator, QueueOptions options)
{
    return std::make_unique<ServiceQueue>(plan, work, communicator, std::move(options));
}

std::unique_ptr<ShardQueue> make_shard_queue(const Plan& plan, const OpenWork& work,
                                             Communicator& communicator, QueueOptions options)
{
    if (communicator.size() == 1) return make_local_queue(plan, work, std::move(options));
    if (communicator.threads_may_message())
        return make_service_queue(plan, work, communicator, std::move(options));
    if (communicator.rank() == 0)
        spdlog::warn(
            "shards are dealt out in advance, without balancing, and without checkpoints "
            "by time (this MPI does not provide MPI_THREAD_MULTIPLE). Use an MPI that "
            "does for unequal shards and long runs.");
    return make_static_queue(plan, work, communicator, std::move(options));
}

}  // namespace twinscreen
