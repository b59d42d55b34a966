#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "engine/config/document_state.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen::detail {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_names = 10000;  // a folder of a million images is not searched whole

std::vector<std::string> names_in(const fs::path& folder)
{
    std::vector<std::string> names;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
         entry.increment(failed)) {
        names.push_back(entry->path().filename().string());
        if (names.size() == most_names) break;
    }
    std::ranges::sort(names);
    return names;
}

std::string hint_beside(const fs::path& missing)
{
    const fs::path folder = missing.has_parent_path() ? missing.parent_path() : fs::path(".");
    const auto nearest = nearest_word(missing.filename().string(), names_in(folder));
    return nearest ? fmt::format("did you mean '{}'?", printable(*nearest)) : std::string{};
}

}  // namespace

std::string expand_environment(std::string_view text, std::string& mistake)
{
    std::string expanded;
    while (!text.empty()) {
        const std::size_t open = text.find("${");
        expanded += text.substr(0, open);
        if (open == std::string_view::npos) break;
        const std::size_t close = text.find('}', open);
        if (close == std::string_view::npos) {
            mistake = "has a ${ without its }";
            break;
        }
        const std::string variable(text.substr(open + 2, close - open - 2));
        const char* value = std::getenv(variable.c_str());
        if (value == nullptr || *value == '\0') {
            mistake = fmt::format("needs the environment variable {}, which is not set",
                                  printable(variable));
            break;
        }
        expanded += value;
        text.remove_prefix(close + 1);
    }
    return expanded;
}

std::optional<PathMistake> path_mistake(const fs::path& path)
{
    fs::path so_far;
    for (const fs::path& part : path) {
        std::error_code ignored;
        if (fs::is_regular_file(so_far, ignored))
            return PathMistake{
                fmt::format("{} is a file, not a folder", printable(so_far.string())), {}};
        so_far /= part;
        std::error_code failed;
        const fs::file_status status = fs::status(so_far, failed);
        if (fs::exists(status)) continue;
        const std::string shown = printable(so_far.string());
        if (status.type() == fs::file_type::not_found) {
            if (fs::is_symlink(fs::symlink_status(so_far, failed)))
                return PathMistake{fmt::format("{} is a link to nothing", shown), {}};
            return PathMistake{fmt::format("{} does not exist", shown), hint_beside(so_far)};
        }
        return PathMistake{fmt::format("{} cannot be read: {}", shown, failed.message()), {}};
    }
    return std::nullopt;
}

}  // namespace twinscreen::detail
