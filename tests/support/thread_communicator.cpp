#include "tests/support/thread_communicator.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

namespace twinscreen::test {

namespace {

/// The letters of one mailbox per rank.
struct PostOffice {
    explicit PostOffice(int size) : inboxes(static_cast<std::size_t>(size)) {}

    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<std::deque<Mailbox::Letter>> inboxes;
};

class ThreadMailbox final : public Mailbox {
public:
    ThreadMailbox(std::shared_ptr<PostOffice> office, int rank)
        : office_(std::move(office)), rank_(rank)
    {
    }

    void send(int to, std::span<const std::byte> message) override
    {
        {
            const std::lock_guard lock(office_->mutex);
            office_->inboxes.at(static_cast<std::size_t>(to))
                .push_back({rank_, {message.begin(), message.end()}});
        }
        office_->arrived.notify_all();
    }

    std::optional<Letter> receive(std::chrono::microseconds patience) override
    {
        std::unique_lock lock(office_->mutex);
        auto& inbox = office_->inboxes.at(static_cast<std::size_t>(rank_));
        if (!office_->arrived.wait_for(lock, patience, [&] { return !inbox.empty(); }))
            return std::nullopt;
        Letter letter = std::move(inbox.front());
        inbox.pop_front();
        return letter;
    }

private:
    // Shared: the last of the ranks closes it.
    std::shared_ptr<PostOffice> office_;
    int rank_;
};

/// What the ranks of one job share.
struct Job {
    explicit Job(int ranks) : size(ranks), published(static_cast<std::size_t>(ranks)) {}

    void barrier()
    {
        std::unique_lock lock(mutex);
        const std::uint64_t mine = generation;
        if (++waiting == size) {
            waiting = 0;
            ++generation;
            released.notify_all();
            return;
        }
        released.wait(lock, [&] { return generation != mine; });
    }

    const int size;
    std::mutex mutex;
    std::condition_variable released;
    int waiting = 0;
    std::uint64_t generation = 0;
    std::vector<std::span<const std::byte>> published;  // one per rank, between two barriers
    std::vector<std::shared_ptr<PostOffice>> offices;
};

double combine(double a, double b, Reduction how)
{
    switch (how) {
        case Reduction::sum: return a + b;
        case Reduction::min: return std::min(a, b);
        case Reduction::max: return std::max(a, b);
    }
    return a;
}

class ThreadCommunicator final : public Communicator {
public:
    ThreadCommunicator(Job& job, int rank) : job_(job), rank_(rank) {}

    int rank() const noexcept override { return rank_; }
    int size() const noexcept override { return job_.size; }
    int node_rank() const noexcept override { return rank_; }
    const void* native() const noexcept override { return nullptr; }
    bool threads_may_message() const noexcept override { return true; }

    void barrier() override { job_.barrier(); }

    void broadcast(std::span<std::byte> bytes, int root) override
    {
        const auto source = static_cast<std::size_t>(root);
        if (rank_ == root) job_.published[source] = bytes;
        job_.barrier();
        if (rank_ != root && !bytes.empty())
            std::memcpy(bytes.data(), job_.published[source].data(), bytes.size());
        job_.barrier();
    }

    void all_reduce(std::span<double> values, Reduction how) override
    {
        const std::vector<double> mine(values.begin(), values.end());
        job_.published[static_cast<std::size_t>(rank_)] = std::as_bytes(std::span(mine));
        job_.barrier();
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = published(0, i);
            for (std::size_t other = 1; other < job_.published.size(); ++other)
                values[i] = combine(values[i], published(other, i), how);
        }
        job_.barrier();
    }

    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override
    {
        job_.published[static_cast<std::size_t>(rank_)] = mine;
        job_.barrier();
        auto place = all.begin();
        for (const auto& part : job_.published) place = std::copy(part.begin(), part.end(), place);
        job_.barrier();
    }

    std::unique_ptr<Mailbox> open_mailbox() override
    {
        const std::lock_guard lock(job_.mutex);
        const std::size_t number = opened_++;
        if (job_.offices.size() == number)
            job_.offices.push_back(std::make_shared<PostOffice>(job_.size));
        return std::make_unique<ThreadMailbox>(job_.offices[number], rank_);
    }

    [[noreturn]] void abort(int exit_code) noexcept override { _exit(exit_code); }

private:
    double published(std::size_t rank, std::size_t index) const
    {
        double value = 0.0;
        std::memcpy(&value, job_.published[rank].data() + index * sizeof(double), sizeof(double));
        return value;
    }

    Job& job_;
    int rank_;
    std::size_t opened_ = 0;
};

}  // namespace

void run_as_ranks(int size, const std::function<void(Communicator&)>& rank_main)
{
    Job job(size);
    std::vector<std::exception_ptr> failures(static_cast<std::size_t>(size));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank)
        threads.emplace_back([&, rank] {
            try {
                ThreadCommunicator communicator(job, rank);
                rank_main(communicator);
            } catch (...) {
                failures[static_cast<std::size_t>(rank)] = std::current_exception();
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
}

}  // namespace twinscreen::test
