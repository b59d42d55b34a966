#pragma once

#include <filesystem>
#include <string>

#include "engine/base/shared_reads.hpp"
#include "engine/base/table.hpp"

namespace twinscreen {

/// A label table: comma- or tab-separated (by extension .tsv), first line the column names,
/// RFC 4180 quoting, UTF-8 (with or without byte order mark), LF or CRLF.
///
/// A column whose every cell is a number, empty or "nan" becomes numbers, any other texts; codes
/// with leading zeros ("0042") and whole numbers from 2^53 on stay texts, because a number would
/// lose digits. Throws Error(data) with file:line for ragged rows, duplicate or empty column names,
/// unterminated quotes, NUL bytes, an empty file, more than engine/config/limits.hpp allows.
Table read_csv(const std::filesystem::path& file);
Table read_csv(const std::filesystem::path& file, SharedReads& reads);
Table read_csv(const FileContent& file);

/// A text as one quoted cell.
std::string csv_cell(std::string text);
/// The table as such a file: texts quoted, numbers with all their digits.
std::string csv_text(const Table& table);

}  // namespace twinscreen
