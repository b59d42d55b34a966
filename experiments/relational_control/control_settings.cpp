#include "experiments/relational_control/control_settings.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t most_draws = std::int64_t{1} << 31U;

std::vector<ImportedFile> read_imports(ConfigSection& section)
{
    std::vector<ImportedFile> imports;
    for (ConfigSection& one : section.children("responses")) {
        ImportedFile imported;
        imported.file = one.require_existing_path("file");
        imported.dataset = one.get_or<std::string>("dataset", "insilico_fmri_responses");
        imported.subject = one.require<std::string>("subject");
        imported.area = one.require<std::string>("area");
        if (one.has("noise_ceiling"))
            imported.noise_ceiling = one.require_existing_path("noise_ceiling");
        one.reject_unknown_keys();
        for (const ImportedFile& other : imports)
            if (other.subject == imported.subject && other.area == imported.area)
                one.complain("area", fmt::format("area '{}' of subject '{}' is imported twice",
                                                 imported.area, imported.subject));
        imports.push_back(std::move(imported));
    }
    return imports;
}

std::vector<AreaRule> read_areas(ConfigSection& section)
{
    std::vector<AreaRule> areas;
    for (ConfigSection& one : section.children("areas")) {
        AreaRule area{one.require<std::string>("name"), one.require<std::string>("units")};
        one.reject_unknown_keys();
        for (const AreaRule& other : areas)
            if (other.name == area.name)
                one.complain("name", fmt::format("two areas are called '{}'", area.name));
        areas.push_back(std::move(area));
    }
    return areas;
}

std::vector<SubjectRule> read_subjects(ConfigSection& section)
{
    std::vector<SubjectRule> subjects;
    for (ConfigSection& one : section.children("subjects")) {
        SubjectRule subject;
        subject.members = one.require<std::vector<std::string>>("members");
        std::string joined;
        for (const std::string& member : subject.members)
            joined += (joined.empty() ? "" : " x ") + member;
        subject.name = one.get_or<std::string>("name", joined);
        one.reject_unknown_keys();
        for (const SubjectRule& other : subjects)
            if (other.name == subject.name)
                one.complain("name", fmt::format("two subjects are called '{}'", subject.name));
        subjects.push_back(std::move(subject));
    }
    return subjects;
}

UnivariateSettings read_univariate(ConfigSection section)
{
    UnivariateSettings settings;
    settings.images = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "images", settings.images, "images", in_range<std::int64_t>(1, 10'000)));
    settings.margin =
        section.get_or<double>("margin", settings.margin, "mean response", in_range(0.0, 1e6));
    settings.draws = static_cast<std::uint64_t>(
        section.get_or<std::int64_t>("draws", static_cast<std::int64_t>(settings.draws), "sets",
                                     in_range<std::int64_t>(100, most_draws)));
    settings.permutations = static_cast<std::uint64_t>(section.get_or<std::int64_t>(
        "permutations", static_cast<std::int64_t>(settings.permutations), "",
        in_range<std::int64_t>(100, most_draws)));
    section.reject_unknown_keys();
    return settings;
}

}  // namespace

ControlSettings read_control_settings(ConfigSection& section)
{
    ControlSettings settings;
    settings.imports = read_imports(section);
    settings.units = section.get_or<std::string>("units", settings.units);
    settings.subject_column =
        section.get_or<std::string>("subject_column", settings.subject_column);
    settings.areas = read_areas(section);
    settings.subjects = read_subjects(section);
    settings.pairs = section.get_or<std::vector<std::string>>("pairs", {});
    settings.leave_one_out =
        section.one_of("folds", "leave_one_out", {"leave_one_out", "none"}) == "leave_one_out";
    settings.patterns = section.get_or("patterns", settings.patterns);
    settings.compat =
        section.one_of("compat", "corrected", {"corrected", "reference"}) == "reference"
            ? Compat::reference
            : Compat::corrected;
    if (section.has("univariate"))
        settings.univariate = read_univariate(section.child("univariate"));
    return settings;
}

}  // namespace twinscreen
