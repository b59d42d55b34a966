#include "engine/config/csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "engine/base/error.hpp"
#include "engine/config/limits.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen {

namespace {

constexpr std::size_t most_ragged = 10;

struct Cell {
    std::string text;
    bool was_quoted = false;
};

struct Record {
    std::size_t line = 1;
    std::vector<Cell> cells;

    bool is_blank() const
    {
        return cells.size() == 1 && cells[0].text.empty() && !cells[0].was_quoted;
    }
};

[[noreturn]] void refuse(const std::string& where, const std::string& reason,
                         const std::string& hint = {})
{
    throw Error(Error::Kind::data, fmt::format("{}: {}", where, reason), hint);
}

/// The records of an RFC 4180 text, one by one.
class RecordReader {
public:
    RecordReader(std::string name, std::string_view text, char separator)
        : name_(std::move(name)), text_(text), separator_(separator)
    {
    }

    bool at_end() const noexcept { return at_ == text_.size(); }

    Record next()
    {
        Record record;
        record.line = line_;
        for (;;) {
            record.cells.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted_cell()
                                                                           : plain_cell());
            if (at_end()) return record;
            if (text_[at_] == separator_) {
                ++at_;
                continue;
            }
            end_line();
            return record;
        }
    }

private:
    [[noreturn]] void refuse_here(const std::string& reason, const std::string& hint = {}) const
    {
        refuse(fmt::format("{}:{}", name_, line_), reason, hint);
    }

    void end_line()
    {
        if (text_[at_] == '\r') ++at_;
        if (at_ == text_.size() || text_[at_] != '\n')
            refuse_here("carriage return without line feed (lines end with LF or CRLF)");
        ++at_;
        ++line_;
    }

    Cell plain_cell()
    {
        const std::size_t first = at_;
        while (!at_end() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r') {
            if (text_[at_] == '"')
                refuse_here("quote inside a cell that does not begin with one",
                            "write the whole cell in quotes and double the inner ones");
            ++at_;
        }
        return {std::string(text_.substr(first, at_ - first)), false};
    }

    Cell quoted_cell()
    {
        Cell cell{{}, true};
        const std::size_t opening_line = line_;
        for (++at_; !at_end(); ++at_) {
            if (text_[at_] == '\n') ++line_;
            if (text_[at_] != '"') {
                cell.text += text_[at_];
                continue;
            }
            ++at_;
            if (!at_end() && text_[at_] == '"') {
                cell.text += '"';
                continue;
            }
            if (!at_end() && text_[at_] != separator_ && text_[at_] != '\n' && text_[at_] != '\r')
                refuse_here("text after the closing quote of a cell");
            return cell;
        }
        refuse(fmt::format("{}:{}", name_, opening_line), "quote is never closed");
    }

    std::string name_;
    std::string_view text_;
    char separator_;
    std::size_t at_ = 0;
    std::size_t line_ = 1;
};

void check_encoding(const std::string& name, std::string_view text)
{
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        refuse(name, "is UTF-16 (tables are UTF-8)", "save the table as UTF-8");
    const auto line_of = [&](std::size_t offset) {
        return 1 +
               std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
    };
    if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
        refuse(fmt::format("{}:{}", name, line_of(zero)), "holds a zero byte (is this a table?)");
    if (const std::size_t bad = detail::first_invalid_utf8(text); bad != std::string_view::npos)
        refuse(fmt::format("{}:{}", name, line_of(bad)),
               fmt::format("byte 0x{:02X} is not UTF-8", static_cast<unsigned char>(text[bad])),
               "save the table as UTF-8");
}

std::string_view trimmed(std::string_view text)
{
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_nan_word(std::string_view text) { return text == "nan" || text == "NaN" || text == "NAN"; }

/// The number in a cell, or nothing where a double would lose what was written: texts, codes with
/// leading zeros ("0042"), whole numbers from 2^53 on.
std::optional<double> as_number(std::string_view cell)
{
    cell = trimmed(cell);
    if (cell.empty() || is_nan_word(cell)) return std::numeric_limits<double>::quiet_NaN();
    std::string_view digits = cell;
    if (digits[0] == '+' || digits[0] == '-') digits.remove_prefix(1);
    if (digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9')
        return std::nullopt;
    if (digits.starts_with("nan") || digits.starts_with("-")) return std::nullopt;
    if (cell[0] == '+') cell.remove_prefix(1);
    double value = 0;
    const auto [stop, failed] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (failed != std::errc{} || stop != cell.data() + cell.size()) return std::nullopt;
    const bool whole = digits.find_first_not_of("0123456789") == std::string_view::npos;
    if (whole && std::abs(value) >= 0x1p53) return std::nullopt;
    return value;
}

std::vector<std::string> column_names(const std::string& name, const Record& header)
{
    if (header.cells.size() > most_table_columns)
        refuse(fmt::format("{}:{}", name, header.line),
               fmt::format("{} columns (at most {})", header.cells.size(), most_table_columns));
    std::vector<std::string> names;
    for (const Cell& cell : header.cells) {
        const std::string column(cell.was_quoted ? std::string_view(cell.text)
                                                 : trimmed(cell.text));
        const std::string where = fmt::format("{}:{}", name, header.line);
        if (column.empty())
            refuse(where, fmt::format("column {} has no name", names.size() + 1),
                   "the first line names the columns");
        if (std::find(names.begin(), names.end(), column) != names.end())
            refuse(where, fmt::format("column name '{}' stands twice", detail::printable(column)));
        names.push_back(column);
    }
    if (names.size() == 1 && names[0].find_first_of(";\t") != std::string::npos)
        refuse(fmt::format("{}:{}", name, header.line),
               fmt::format("one column named {} (other separators between the names?)",
                           detail::quoted(names[0])),
               "separate columns by commas, or by tabs in a .tsv file");
    return names;
}

TableColumn make_column(std::string name, std::vector<std::string> cells)
{
    std::vector<double> numbers;
    numbers.reserve(cells.size());
    for (const std::string& cell : cells) {
        const auto number = as_number(cell);
        if (!number) return {std::move(name), {}, std::move(cells)};
        numbers.push_back(*number);
    }
    return {std::move(name), {}, std::move(numbers)};
}

std::string ragged_text(const std::string& name, const Record& record, std::size_t expected)
{
    if (record.is_blank()) return fmt::format("{}:{}: line is empty", name, record.line);
    return fmt::format("{}:{}: {} cell{}, expected {}", name, record.line, record.cells.size(),
                       record.cells.size() == 1 ? "" : "s", expected);
}

}  // namespace

Table read_csv(const std::filesystem::path& file)
{
    SharedReads reads;
    return read_csv(file, reads);
}

Table read_csv(const std::filesystem::path& file, SharedReads& reads)
{
    std::error_code failed;
    const auto status = std::filesystem::status(file, failed);
    if (status.type() == std::filesystem::file_type::not_found)
        refuse(file.string(), "no such file");
    if (std::filesystem::is_directory(status)) refuse(file.string(), "is a folder, not a table");
    return read_csv(reads.file(file, largest_table));
}

Table read_csv(const FileContent& file)
{
    const std::string name = file.path.string();
    std::string_view text = file.text();
    check_encoding(name, text);
    if (text.starts_with(detail::utf8_byte_order_mark))
        text.remove_prefix(detail::utf8_byte_order_mark.size());
    // Blank lines at the end are what editors leave, not rows.
    while (text.ends_with("\n\n") || text.ends_with("\n\r\n"))
        text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
        refuse(name, "is empty (the first line names the columns)");

    RecordReader reader(name, text, file.path.extension() == ".tsv" ? '\t' : ',');
    const std::vector<std::string> names = column_names(name, reader.next());
    std::vector<std::vector<std::string>> cells(names.size());
    std::vector<std::string> mistakes;
    while (!reader.at_end()) {
        Record record = reader.next();
        if (record.cells.size() != names.size()) {
            mistakes.push_back(ragged_text(name, record, names.size()));
            if (mistakes.size() == most_ragged) break;
            continue;
        }
        for (std::size_t i = 0; i < names.size(); ++i)
            cells[i].push_back(std::move(record.cells[i].text));
    }
    if (!mistakes.empty())
        throw Error(Error::Kind::data, fmt::format("{}", fmt::join(mistakes, "\n")),
                    "every line needs a cell for each column; a cell with a separator is quoted");

    Table table;
    for (std::size_t i = 0; i < names.size(); ++i)
        table.columns.push_back(make_column(names[i], std::move(cells[i])));
    return table;
}

std::string csv_cell(std::string text)
{
    for (std::size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2)
        text.insert(at, 1, '"');
    return '"' + text + '"';
}

namespace {

/// Unknown is "nan", whatever its sign bit.
std::string number_text(double value)
{
    return std::isnan(value) ? "nan" : fmt::format("{}", value);
}

}  // namespace

std::string csv_text(const Table& table)
{
    std::string text;
    for (const TableColumn& column : table.columns) {
        if (!text.empty()) text += ',';
        text += csv_cell(column.name);
    }
    text += "\n";
    for (std::size_t row = 0; row < table.rows(); ++row) {
        for (std::size_t column = 0; column < table.columns.size(); ++column) {
            const TableColumn& cells = table.columns[column];
            if (column > 0) text += ',';
            text += cells.is_text() ? csv_cell(table.text(cells.name, row))
                                    : number_text(table.number(cells.name, row));
        }
        text += "\n";
    }
    return text;
}

}  // namespace twinscreen
