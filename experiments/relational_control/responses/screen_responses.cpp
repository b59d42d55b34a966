#include "engine/store/finished_stage.hpp"
#include "experiments/recording.hpp"
#include "experiments/relational_control/responses/response_file.hpp"

namespace twinscreen {
namespace {

/// The columns that a study asks for; others are as the twins had them.
void require_unit_columns(const Table& units, const std::string& name)
{
    for (const char* column : {"id", "subject", "area"}) {
        const TableColumn* found = units.find(column);
        TWINSCREEN_REQUIRE(found != nullptr && found->is_text(), store,
                           "{}: its unit table has no texts '{}'", name, column);
    }
    const TableColumn* ceilings = units.find("noise_ceiling");
    TWINSCREEN_REQUIRE(ceilings == nullptr || !ceilings->is_text(), store,
                       "{}: 'noise_ceiling' of its unit table is text, not numbers", name);
}

class ScreenResponses final : public ResponseFile {
public:
    explicit ScreenResponses(const ImportedFile& imported)
        : stage_(imported.store, "responses"), column_(stage_.item_column(imported.column))
    {
        TWINSCREEN_REQUIRE(column_.type == ElementType::f32 || column_.type == ElementType::f16,
                           store, "{}: column '{}' is {}, expected float32 or float16", name(),
                           column_.name, name_of(column_.type));
        const bool has_all = column_.axes == "item, unit";
        TWINSCREEN_REQUIRE(has_all || column_.axes == "item, stored_unit", store,
                           "{}: column '{}' has the axes [{}], not items and units", name(),
                           column_.name, column_.axes);
        units_ = stage_.table(has_all ? "units" : "stored_units");
        require_unit_columns(units_, name());
        TWINSCREEN_REQUIRE(images() > 0 && units_.rows() > 0 &&
                               units_.rows() * bytes_of(column_.type) == column_.row_bytes,
                           store, "{}: column '{}' does not hold {} units", name(), column_.name,
                           units_.rows());
    }

    std::string name() const override { return stage_.file().string(); }
    std::uint64_t images() const override { return column_.rows; }
    const Table& units() const override { return units_; }
    std::string stimuli() const override
    {
        for (const auto& [name, value] : stage_.layout().identity)
            if (name == "stimuli") return value;
        return {};
    }
    void add_identity(Digest& digest) const override
    {
        digest.add(stage_.content_hash()).add(column_.name);
        for (const TableColumn& column : units_.columns)
            if (column.is_text())
                for (const auto& text : std::get<std::vector<std::string>>(column.values))
                    digest.add(text);
    }

    void read(std::uint64_t first, std::uint64_t count, float* rows, std::size_t stride) override
    {
        std::vector<std::byte> bytes(count * column_.row_bytes);
        stage_.read(column_, first, count, bytes);
        copy_rows(doubles_of(bytes, column_.type), units_.rows(), rows, stride);
    }

private:
    FinishedStage stage_;
    StoredColumn column_;
    Table units_;
};

}  // namespace

std::unique_ptr<ResponseFile> open_screen_responses(const ImportedFile& imported)
{
    return std::make_unique<ScreenResponses>(imported);
}

}  // namespace twinscreen
