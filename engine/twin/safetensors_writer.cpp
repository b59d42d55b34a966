#include "engine/twin/safetensors_writer.hpp"

#include <cstring>
#include <fstream>

#include <nlohmann/json.hpp>

namespace twinscreen {
namespace {

const char* type_name(ElementType type)
{
    switch (type) {
        case ElementType::u8: return "U8";
        case ElementType::i32: return "I32";
        case ElementType::i64: return "I64";
        case ElementType::u64: return "U64";
        case ElementType::f16: return "F16";
        case ElementType::bf16: return "BF16";
        case ElementType::f32: return "F32";
        case ElementType::f64: return "F64";
    }
    return "";
}

}  // namespace

void write_safetensors(const std::filesystem::path& file, const std::vector<TensorBytes>& tensors)
{
    nlohmann::json header = nlohmann::json::object();
    std::uint64_t offset = 0;
    for (const TensorBytes& tensor : tensors) {
        header[tensor.name] = {{"dtype", type_name(tensor.type)},
                               {"shape", tensor.shape},
                               {"data_offsets", {offset, offset + tensor.bytes.size()}}};
        offset += tensor.bytes.size();
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');  // data begin at a multiple of 8
    const std::uint64_t length = text.size();
    std::ofstream stream(file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(&length), sizeof(length));
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const TensorBytes& tensor : tensors)
        stream.write(reinterpret_cast<const char*>(tensor.bytes.data()),
                     static_cast<std::streamsize>(tensor.bytes.size()));
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written ({})", file.string(),
                       std::strerror(errno));
}

}  // namespace twinscreen
