#include "experiments/relational_control/responses/imported_responses.hpp"

namespace twinscreen {

ImportedResponses::ImportedResponses(const std::vector<ImportedFile>& files, ConfigSection& section)
{
    std::vector<ConfigSection> sections = section.children("responses");
    for (std::size_t at = 0; at < files.size(); ++at) {
        try {
            open(files[at]);
        } catch (const Error& error) {
            const std::string ceilings = files[at].noise_ceiling.string();
            const bool is_ceiling =
                !ceilings.empty() && std::string_view(error.what()).starts_with(ceilings);
            sections[at].complain(is_ceiling                ? "noise_ceiling"
                                  : files[at].store.empty() ? "file"
                                                            : "store",
                                  error.what());
        }
    }
    std::vector<const Table*> tables;
    for (const auto& file : files_) tables.push_back(&file->units());
    units_ = stack_tables(tables);
}

void ImportedResponses::open(const ImportedFile& imported)
{
    std::unique_ptr<ResponseFile> file =
        imported.store.empty() ? open_array_responses(imported) : open_screen_responses(imported);
    TWINSCREEN_REQUIRE(
        files_.empty() || file->images() == images_, data,
        "{}: responses to {} images, and {} has {} (all subjects and areas must have "
        "seen the same images)",
        file->name(), file->images(), files_.front()->name(), images_);
    images_ = file->images();
    files_.push_back(std::move(file));
}

void ImportedResponses::require_stimuli(const std::string& identity, ConfigSection& section) const
{
    std::vector<ConfigSection> sections = section.children("responses");
    for (std::size_t at = 0; at < files_.size(); ++at)
        if (!files_[at]->stimuli().empty() && files_[at]->stimuli() != identity)
            sections[at].complain(
                "store",
                fmt::format("{}: the screen showed other stimuli; they are not the stimuli of the "
                            "campaign",
                            files_[at]->name()),
                "copy the [[stimuli]] of its campaign, or leave them out: then no pictures are "
                "shown");
}

std::string ImportedResponses::identity() const
{
    Digest all;
    for (const auto& file : files_) file->add_identity(all);
    return all.hex();
}

void ImportedResponses::read(std::uint64_t first, std::uint64_t count,
                             std::vector<float>& rows) const
{
    rows.resize(count * units_.rows());
    std::size_t first_unit = 0;
    for (const auto& file : files_) {
        file->read(first, count, rows.data() + first_unit, units_.rows());
        first_unit += file->units().rows();
    }
}

}  // namespace twinscreen
