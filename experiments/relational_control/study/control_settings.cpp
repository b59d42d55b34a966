#include "experiments/relational_control/study/control_settings.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

constexpr std::int64_t most_draws = std::int64_t{1} << 31U;

std::vector<ImportedFile> read_imports(ConfigSection& section)
{
    std::vector<ImportedFile> imports;
    for (ConfigSection& one : section.children("responses")) {
        ImportedFile imported;
        if (one.has("store")) {
            imported.store = one.require_existing_path("store");
            imported.column = one.get_or<std::string>("column", "response");
            for (const char* key : {"file", "dataset", "subject", "area", "noise_ceiling"})
                if (one.has(key))
                    one.complain(key,
                                 "a store stands alone: its unit table tells subjects, areas "
                                 "and noise ceilings");
            one.reject_unknown_keys();
            imports.push_back(std::move(imported));
            continue;
        }
        imported.file = one.require_existing_path("file");
        imported.dataset = one.get_or<std::string>("dataset", "insilico_fmri_responses");
        imported.subject = one.require<std::string>("subject");
        imported.area = one.require<std::string>("area");
        if (one.has("noise_ceiling"))
            imported.noise_ceiling = one.require_existing_path("noise_ceiling");
        one.reject_unknown_keys();
        for (const ImportedFile& other : imports)
            if (other.store.empty() && other.subject == imported.subject &&
                other.area == imported.area)
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
        const Rule<std::vector<std::string>> some{
            [](const std::vector<std::string>& members) { return !members.empty(); },
            "of at least one subject"};
        subject.members = one.require<std::vector<std::string>>("members", "", some);
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

std::vector<GroupRule> read_groups(ConfigSection& section)
{
    std::vector<GroupRule> rules;
    for (ConfigSection& one : section.children("group_analysis")) {
        GroupRule rule;
        rule.name = one.require<std::string>("name");
        rule.kind = one.one_of("kind", "distance", {"distance", "category"}) == "category"
                        ? GroupKind::category
                        : GroupKind::distance;
        const Rule<std::vector<std::string>> some{
            [](const std::vector<std::string>& pairs) { return !pairs.empty(); },
            "at least one pair"};
        for (ConfigSection& group : one.children("groups")) {
            rule.groups.push_back(group.require<std::vector<std::string>>("pairs", "", some));
            group.reject_unknown_keys();
        }
        const bool is_category = rule.kind == GroupKind::category;
        if (rule.groups.size() < 2 || (is_category && rule.groups.size() != 2))
            one.complain("groups",
                         fmt::format("{} groups of pairs, expected {}", rule.groups.size(),
                                     is_category ? "2 (within and between categories)"
                                                 : "2 or more (near to far)"),
                         "groups = [{ pairs = [\"V1 - V2\"] }, { pairs = [\"V1 - hV4\"] }]");
        one.reject_unknown_keys();
        rules.push_back(std::move(rule));
    }
    return rules;
}

UnivariateSettings read_univariate(ConfigSection section)
{
    UnivariateSettings settings;
    settings.images = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "images", settings.images, "images", in_range<std::int64_t>(1, 10'000)));
    settings.margin =
        section.get_or<double>("margin", settings.margin, "mean response", in_range(0.0, 1e6));
    settings.standardise = section.get_or("standardise", settings.standardise);
    settings.draws = static_cast<std::uint64_t>(
        section.get_or<std::int64_t>("draws", static_cast<std::int64_t>(settings.draws), "sets",
                                     in_range<std::int64_t>(100, most_draws)));
    settings.permutations = static_cast<std::uint64_t>(section.get_or<std::int64_t>(
        "permutations", static_cast<std::int64_t>(settings.permutations), "",
        in_range<std::int64_t>(100, most_draws)));
    section.reject_unknown_keys();
    return settings;
}

SearchMethod method_named(const std::string& name)
{
    if (name == "greedy") return SearchMethod::greedy;
    if (name == "exchange") return SearchMethod::exchange;
    return name == "annealing" ? SearchMethod::annealing : SearchMethod::genetic;
}

/// What each key alone cannot tell.
void check_search(ConfigSection& section, const SearchSettings& search)
{
    if (search.mutated_shares.size() >= most_mutants)
        section.complain(
            "mutated_shares",
            fmt::format("{} shares (at most {})", search.mutated_shares.size(), most_mutants - 1));
    else if (sets_per_generation(search) >= most_new_sets)
        section.complain(
            "population",
            fmt::format("{} sets and their mutants make {} new sets a generation "
                        "(fewer than {})",
                        search.population, sets_per_generation(search), most_new_sets));
}

void read_search(ConfigSection& section, SearchSettings& search)
{
    search.method = method_named(
        section.one_of("optimiser", "genetic", {"genetic", "greedy", "exchange", "annealing"}));
    search.generations = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "generations", search.generations, "", in_range<std::int64_t>(1, 1'000'000)));
    search.population = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "population", search.population, "sets", in_range<std::int64_t>(1, 100'000)));
    const Rule<std::vector<double>> shares{[](const std::vector<double>& values) {
                                               return !values.empty() &&
                                                      std::ranges::min(values) > 0.0 &&
                                                      std::ranges::max(values) <= 1.0;
                                           },
                                           "shares above 0, at most 1"};
    search.mutated_shares =
        section.get_or<std::vector<double>>("mutated_shares", search.mutated_shares, "", shares);
    search.block = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "block", search.block, "exchanges", in_range<std::int64_t>(1, 100'000)));
    search.start_temperature = section.get_or<double>("start_temperature", search.start_temperature,
                                                      "RSA", in_range(0.0, 10.0));
    search.cooling = section.get_or<double>("cooling", search.cooling, "", in_range(1e-6, 1.0));
    search.stop_below =
        section.get_or<double>("stop_below", search.stop_below, "RSA", in_range(0.0, 1.0));
    check_search(section, search);
}

MultivariateSettings read_multivariate(ConfigSection section, Compat compat)
{
    MultivariateSettings settings;
    settings.images = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "images", settings.images, "images", in_range<std::int64_t>(3, largest_set)));
    settings.draws = static_cast<std::uint64_t>(
        section.get_or<std::int64_t>("draws", static_cast<std::int64_t>(settings.draws), "sets",
                                     in_range<std::int64_t>(100, most_draws)));
    settings.permutations = static_cast<std::uint64_t>(section.get_or<std::int64_t>(
        "permutations",
        std::min<std::int64_t>(100'000, static_cast<std::int64_t>(settings.draws / 10)), "",
        in_range<std::int64_t>(10, most_draws)));
    const std::uint64_t slices = null_slices(compat);
    if (settings.permutations * slices > settings.draws)
        section.complain("permutations",
                         fmt::format("{} permutations take {} random sets each, and there are {}",
                                     settings.permutations, slices, settings.draws),
                         fmt::format("draws = {}", settings.permutations * slices));
    read_search(section, settings.search);
    settings.search.set_size = settings.images;
    settings.compare_optimisers = section.get_or("compare_optimisers", settings.compare_optimisers);
    settings.similarities = section.one_of("similarities", "auto", {"auto", "stored", "patterns"});
    settings.stored_gib =
        section.get_or<double>("stored_gib", settings.stored_gib, "GiB", in_range(0.0, 1e6));
    section.reject_unknown_keys();
    return settings;
}

SessionSettings read_session(ConfigSection section)
{
    SessionSettings settings;
    settings.pair = section.get_or<std::string>("pair", "");
    settings.size = static_cast<int>(section.get_or<std::int64_t>("size", settings.size, "pixels",
                                                                  in_range<std::int64_t>(8, 4096)));
    settings.grey =
        section.get_or<double>("grey", settings.grey, "level 0..255", in_range(0.0, 255.0));
    settings.trial_s =
        section.get_or<double>("trial_seconds", settings.trial_s, "s", in_range(0.01, 3600.0));
    settings.catch_trials = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "catch_trials", settings.catch_trials, "in a run", in_range<std::int64_t>(0, 1000)));
    const auto count = [&](const char* key, std::int64_t most) -> std::optional<std::uint32_t> {
        if (!section.has(key)) return std::nullopt;
        return static_cast<std::uint32_t>(
            section.require<std::int64_t>(key, "", in_range<std::int64_t>(1, most)));
    };
    settings.runs = count("runs", 1000);
    settings.repetitions = count("repetitions", 1000);
    section.reject_unknown_keys();
    return settings;
}

}  // namespace

std::uint64_t null_slices(Compat compat) { return compat == Compat::reference ? 3 : 4; }

std::string MultivariateSettings::text() const
{
    return fmt::format(
        "method {}, {} images, {} generations of {} sets, mutants {}, block {}, temperature {} x "
        "{}, stop below {}",
        static_cast<std::uint32_t>(search.method), images, search.generations, search.population,
        fmt::join(search.mutated_shares, " "), search.block, search.start_temperature,
        search.cooling, search.stop_below);
}

ControlSettings read_control_settings(ConfigSection& section)
{
    ControlSettings settings;
    settings.imports = read_imports(section);
    for (ConfigSection& one : section.children("unit_scores")) {
        settings.unit_scores.push_back(one.require_existing_path("file"));
        one.reject_unknown_keys();
    }
    settings.units = section.get_or<std::string>("units", settings.units);
    settings.subject_column =
        section.get_or<std::string>("subject_column", settings.subject_column);
    settings.areas = read_areas(section);
    settings.subjects = read_subjects(section);
    settings.pairs = section.get_or<std::vector<std::string>>("pairs", {});
    settings.groups = read_groups(section);
    settings.leave_one_out =
        section.one_of("folds", "leave_one_out", {"leave_one_out", "none"}) == "leave_one_out";
    settings.patterns = section.get_or("patterns", settings.patterns);
    settings.compat =
        section.one_of("compat", "corrected", {"corrected", "reference"}) == "reference"
            ? Compat::reference
            : Compat::corrected;
    if (section.has("multivariate"))
        settings.multivariate = read_multivariate(section.child("multivariate"), settings.compat);
    if (section.has("image_labels"))
        settings.image_labels = read_image_labels(section.child("image_labels"));
    if (section.has("session")) settings.session = read_session(section.child("session"));
    if (section.has("univariate"))
        settings.univariate = read_univariate(section.child("univariate"));
    if (section.has("generative"))
        settings.generative = read_generative(section.child("generative"));
    return settings;
}

}  // namespace twinscreen
