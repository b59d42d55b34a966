#include "engine/run/agreement.hpp"

#include <array>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "engine/base/digest.hpp"
#include "engine/base/error.hpp"
#include "engine/base/memory.hpp"

namespace twinscreen {

void agree(Communicator& communicator, const std::function<void()>& action)
{
    std::optional<Error> mine;
    try {
        action();
    } catch (const std::exception& error) {
        mine = as_error(error);
    }
    const double nobody = communicator.size();
    const double reporter = mine ? communicator.rank() : nobody;
    std::array<double, 1> first{reporter};
    communicator.all_reduce(first, Reduction::min);
    if (first[0] >= nobody) return;
    const bool is_mine = first[0] == communicator.rank();
    std::array<double, 1> code{is_mine ? mine->exit_code() : 0.0};
    communicator.all_reduce(code, Reduction::max);
    // Rank 0 had no such trouble: the place matters.
    if (is_mine && communicator.rank() > 0)
        mine->add_context(fmt::format("on rank {}, {}", communicator.rank(), host_name()));
    throw AgreedFailure{static_cast<int>(code[0]), is_mine ? mine->what() : ""};
}

void on_rank_0(Communicator& communicator, const std::function<void()>& action)
{
    agree(communicator, [&] {
        if (communicator.rank() == 0) action();
    });
}

void share(Communicator& communicator, SharedReads& reads)
{
    // Questions and sizes first, then one file after the other: some are gigabytes.
    std::string index;
    for (const auto& [question, bytes] : reads.answers())
        index.append(question)
            .append(1, '\0')
            .append(std::to_string(bytes->size()))
            .append(1, '\0');
    std::istringstream fields(broadcast_text(communicator, std::move(index)));
    std::vector<std::pair<std::string, std::uint64_t>> sizes;
    double total = 0.0;
    for (std::string question, size;
         std::getline(fields, question, '\0') && std::getline(fields, size, '\0');) {
        sizes.emplace_back(question, std::stoull(size));
        total += static_cast<double>(sizes.back().second);
    }
    const bool is_root = communicator.rank() == 0;
    agree(communicator, [&] {
        if (!is_root) require_memory("what rank 0 read for the campaign", total);
    });
    SharedReads::Answers answers;
    for (const auto& [question, size] : sizes) {
        auto bytes = is_root ? *reads.answers().at(question) : std::vector<std::byte>(size);
        communicator.broadcast(bytes, 0);
        if (!is_root)
            answers[question] = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    }
    if (!is_root) reads.give(std::move(answers));
}

void agree_on_stage(Communicator& communicator, const std::optional<StagePlan>& stage)
{
    Digest digest;
    if (stage) digest.add(stage->plan.stage);
    if (stage)
        for (const auto& [setting, value] : stage->settings) digest.add(setting).add(value);
    const std::string mine = digest.hex(), theirs = broadcast_text(communicator, mine);
    agree(communicator, [&] {
        TWINSCREEN_REQUIRE(theirs == mine, data,
                           "rank {} has read other files than rank 0 (one of them was changed "
                           "while the job started). Run the same command again",
                           communicator.rank());
    });
}

}  // namespace twinscreen
