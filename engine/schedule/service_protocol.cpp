#include "engine/schedule/service_protocol.hpp"

#include <cstring>
#include <type_traits>

namespace twinscreen {

namespace {

class Writer {
public:
    template <class T>
    void put(const T& value)
    {
        static_assert(std::is_trivially_copyable_v<T>);
        const auto bytes = std::as_bytes(std::span(&value, 1));
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }

    std::vector<std::byte> take() { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    template <class T>
    T take()
    {
        static_assert(std::is_trivially_copyable_v<T>);
        T value;
        std::memcpy(&value, take_bytes(sizeof(T)).data(), sizeof(T));
        return value;
    }

    /// A count of things of `each` bytes that must still be there.
    std::size_t take_count(std::size_t each)
    {
        const auto count = take<std::uint32_t>();
        require(count <= bytes_.size() / each);
        return count;
    }

    void finish() const { require(bytes_.empty()); }

    static void require(bool holds)
    {
        TWINSCREEN_REQUIRE(
            holds, communication,
            "a message between ranks cannot be read (all ranks must run the same "
            "build of the program). Check that every node sees the same executable.");
    }

private:
    std::span<const std::byte> take_bytes(std::size_t count)
    {
        require(count <= bytes_.size());
        const auto taken = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return taken;
    }

    std::span<const std::byte> bytes_;
};

constexpr std::uint32_t rank_note_mark = 0x5453524EU;
constexpr std::uint32_t server_note_mark = 0x5453534EU;

enum class Kind : std::uint8_t { run, verify, checkpoint, finish, finish_interrupted };
constexpr std::size_t instruction_bytes = sizeof(Kind) + sizeof(std::uint64_t);

struct PutInstruction {
    Writer& writer;

    void put(Kind kind, std::uint64_t value) const
    {
        writer.put(kind);
        writer.put(value);
    }
    void operator()(const RunShard& run) const { put(Kind::run, index_of(run.shard.id)); }
    void operator()(const VerifyShard& verify) const
    {
        put(Kind::verify, index_of(verify.shard.id));
    }
    void operator()(const JoinCheckpoint& join) const { put(Kind::checkpoint, join.epoch); }
    void operator()(const Finish& finish) const
    {
        put(finish.interrupted ? Kind::finish_interrupted : Kind::finish, 0);
    }
};

Instruction take_instruction(Reader& reader, const Plan& plan)
{
    const auto kind = reader.take<Kind>();
    const auto value = reader.take<std::uint64_t>();
    const auto shard = [&] {
        Reader::require(value < plan.shards());
        return plan.shard(ShardId{value});
    };
    switch (kind) {
        case Kind::run: return RunShard{shard()};
        case Kind::verify: return VerifyShard{shard()};
        case Kind::checkpoint: return JoinCheckpoint{static_cast<std::uint32_t>(value)};
        case Kind::finish: return Finish{false};
        case Kind::finish_interrupted: return Finish{true};
    }
    Reader::require(false);
    return Finish{};
}

}  // namespace

std::vector<std::byte> encode(const RankNote& note)
{
    Writer writer;
    writer.put(rank_note_mark);
    writer.put(note.wanted);
    writer.put(note.joined_epoch);
    writer.put(note.waiting);
    writer.put(note.stop);
    writer.put(note.drained);
    writer.put(note.goodbye);
    writer.put(static_cast<std::uint32_t>(note.reports.size()));
    for (const ShardReport& report : note.reports) writer.put(report);
    return writer.take();
}

RankNote decode_rank_note(std::span<const std::byte> bytes)
{
    Reader reader(bytes);
    Reader::require(reader.take<std::uint32_t>() == rank_note_mark);
    RankNote note;
    note.wanted = reader.take<std::uint32_t>();
    note.joined_epoch = reader.take<std::uint32_t>();
    note.waiting = reader.take<std::uint8_t>() != 0;
    note.stop = reader.take<std::uint8_t>() != 0;
    note.drained = reader.take<std::uint8_t>() != 0;
    note.goodbye = reader.take<std::uint8_t>() != 0;
    note.reports.resize(reader.take_count(sizeof(ShardReport)));
    for (ShardReport& report : note.reports) report = reader.take<ShardReport>();
    reader.finish();
    return note;
}

std::vector<std::byte> encode(const ServerNote& note)
{
    Writer writer;
    writer.put(server_note_mark);
    writer.put(note.farewell);
    writer.put(note.complete);
    writer.put(static_cast<std::uint32_t>(note.instructions.size()));
    for (const Instruction& instruction : note.instructions)
        std::visit(PutInstruction{writer}, instruction);
    return writer.take();
}

ServerNote decode_server_note(std::span<const std::byte> bytes, const Plan& plan)
{
    Reader reader(bytes);
    Reader::require(reader.take<std::uint32_t>() == server_note_mark);
    ServerNote note;
    note.farewell = reader.take<std::uint8_t>() != 0;
    note.complete = reader.take<std::uint8_t>() != 0;
    const std::size_t count = reader.take_count(instruction_bytes);
    note.instructions.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        note.instructions.push_back(take_instruction(reader, plan));
    reader.finish();
    return note;
}

}  // namespace twinscreen
