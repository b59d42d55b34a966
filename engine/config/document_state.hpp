#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/shared_reads.hpp"
#include "engine/config/section.hpp"
#include "engine/config/value_tree.hpp"

namespace twinscreen::detail {

/// What the sections of one document share.
struct DocumentState {
    std::string name;              ///< "campaign.toml": for messages
    std::filesystem::path folder;  ///< what relative paths are relative to
    std::shared_ptr<SharedReads> reads;
    std::string text;
    ConfigValue root;
    bool being_read = false;  ///< sections point into `root`: it must not change any more
    std::vector<std::string> assignments;  ///< of --set, in order
    std::vector<Diagnostic> diagnostics;
    std::map<std::string, std::vector<std::string>> known;  ///< section -> keys asked for
};

/// One table, or the place where it would be.
struct SectionState {
    /// Sections outlive the ConfigDocument value that made them: each keeps the document alive.
    std::shared_ptr<DocumentState> document;
    std::string name;
    const ConfigTable* table = nullptr;  ///< null: absent
    Origin where;
    bool broken = false;  ///< something else stands in its place, which was complained of

    const ConfigEntry* find(std::string_view key);
    void add(const Origin& where, std::string_view key, std::string message, std::string hint = {});
};

/// All diagnostics as one text: in file order, those about assignments last, each once.
std::string report(const DocumentState& document);

/// The text with ${NAME} replaced from the environment. `mistake` is set for an unset variable or
/// an unfinished ${.
std::string expand_environment(std::string_view text, std::string& mistake);

/// Why a path cannot be used, and the nearest existing name beside its first missing part.
struct PathMistake {
    std::string message;
    std::string hint;
};
std::optional<PathMistake> path_mistake(const std::filesystem::path& path);

}  // namespace twinscreen::detail
