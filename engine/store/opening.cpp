#include "engine/store/opening.hpp"

#include <array>
#include <cstring>

#include "engine/base/failpoint.hpp"
#include "engine/store/description.hpp"
#include "engine/store/identity.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_file.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

namespace {

/// What rank 0 found, for everybody: an error, or the stage.
struct Outcome : OpenedStage {
    std::string error;
    Error::Kind kind = Error::Kind::store;

    std::string pack() const
    {
        std::string text = error.empty() ? "G" : std::string{'E', static_cast<char>(kind)} + error;
        if (!error.empty()) return text;
        append(text, std::uint64_t{state.existed}, std::uint64_t{state.complete},
               state.sealed_items, std::uint64_t{state.epoch}, std::uint64_t{mixes_numerics},
               std::uint64_t{state.open.size()}, std::uint64_t{state.suspect.size()});
        for (const auto* shards : {&state.open, &state.suspect})
            text.append(reinterpret_cast<const char*>(shards->data()),
                        shards->size() * sizeof(ShardId));
        return text;
    }

    static Outcome unpack(const std::string& text)
    {
        Outcome outcome;
        if (text.front() == 'E') {
            outcome.kind = static_cast<Error::Kind>(text.at(1));
            outcome.error = text.substr(2);
            return outcome;
        }
        std::array<std::uint64_t, 7> numbers{};
        const char* at = text.data() + 1;
        std::memcpy(numbers.data(), at, sizeof(numbers));
        at += sizeof(numbers);
        outcome.state.existed = numbers[0] != 0;
        outcome.state.complete = numbers[1] != 0;
        outcome.state.sealed_items = numbers[2];
        outcome.state.epoch = static_cast<std::uint32_t>(numbers[3]);
        outcome.mixes_numerics = numbers[4] != 0;
        outcome.state.open.resize(numbers[5]);
        outcome.state.suspect.resize(numbers[6]);
        for (auto* shards : {&outcome.state.open, &outcome.state.suspect}) {
            if (shards->empty()) continue;
            std::memcpy(shards->data(), at, shards->size() * sizeof(ShardId));
            at += shards->size() * sizeof(ShardId);
        }
        return outcome;
    }

private:
    template <class... Numbers>
    static void append(std::string& text, Numbers... numbers)
    {
        (text.append(reinterpret_cast<const char*>(&numbers), sizeof(numbers)), ...);
    }
};

Outcome resume(const StoreOptions& options, const Plan& plan,
               const std::vector<ColumnSpec>& columns)
{
    const auto layout = read_stage_layout(options.file);
    TWINSCREEN_REQUIRE(layout.has_value(), store,
                       "{} was not written by twinscreen, and is not overwritten",
                       options.file.string());
    const RawFile raw(options.file, RawFile::Access::read);
    if (!description_is_sound(raw, *layout))
        throw Error(Error::Kind::store,
                    fmt::format("{} is damaged or was edited (its attributes, tables or structure "
                                "are not what they were when it was created)",
                                options.file.string()),
                    "Move the file away to start this stage again.");
    require_same_stage(options, plan, columns, *layout);
    std::vector<std::byte> ledger(static_cast<std::size_t>(plan.shards() + 1) *
                                  ledger_record_bytes);
    raw.read(layout->ledger_offset, ledger);
    Outcome outcome;
    outcome.state = state_of(ledger, plan, stored_epoch(raw, *layout));
    outcome.mixes_numerics = layout->numerics != options.numerics;
    return outcome;
}

Outcome prepare(const StoreOptions& options, const Plan& plan,
                const std::vector<ColumnSpec>& columns, const StageTables& tables)
{
    std::error_code failure;
    const bool exists = std::filesystem::exists(options.file, failure);
    TWINSCREEN_REQUIRE(!failure, store, "cannot examine {} ({})", options.file.string(),
                       failure.message());
    if (exists) return resume(options, plan, columns);
    create_stage_file(options, plan, columns, tables);
    Outcome outcome;
    for (std::uint64_t shard = 0; shard < plan.shards(); ++shard)
        outcome.state.open.push_back(ShardId{shard});
    return outcome;
}

}  // namespace

OpenedStage prepare_stage(const StoreOptions& options, const Plan& plan,
                          const std::vector<ColumnSpec>& columns, const StageTables& tables,
                          Communicator& communicator)
{
    Outcome mine;
    if (communicator.rank() == 0) {
        try {
            mine = prepare(options, plan, columns, tables);
        } catch (const Error& error) {
            mine.kind = error.kind();
            mine.error = error.what();
        } catch (const std::exception& error) {
            mine.error = fmt::format("could not open {} ({})", options.file.string(), error.what());
        }
    }
    TWINSCREEN_FAILPOINT("open: before the others are told");
    Outcome outcome = Outcome::unpack(broadcast_text(communicator, mine.pack()));
    if (!outcome.error.empty()) throw Error(outcome.kind, outcome.error);
    return outcome;
}

}  // namespace twinscreen
