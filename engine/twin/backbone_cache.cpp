#include "engine/twin/backbone_cache.hpp"

#include <map>
#include <mutex>

#include "engine/base/digest.hpp"

namespace twinscreen {

std::string backbone_digest(const InputTransform& transform, Precision precision,
                            const std::string& settings,
                            std::span<const std::span<const std::byte>> weights)
{
    Digest digest;
    digest.add(transform.text()).add(precision == Precision::f32 ? "f32" : "f64").add(settings);
    for (const std::span<const std::byte> bytes : weights) {
        digest.add(static_cast<std::uint64_t>(bytes.size()));
        digest.add_bytes(bytes);
    }
    return digest.hex();
}

std::shared_ptr<Backbone> shared_backbone(const std::string& digest,
                                          const std::function<std::shared_ptr<Backbone>()>& make)
{
    // The one piece of process state of this module: weights are shared by whoever loads them, and
    // nothing that a result depends on can differ between two backbones of equal digest.
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<Backbone>> living;
    const std::lock_guard lock(mutex);
    if (std::shared_ptr<Backbone> found = living[digest].lock()) return found;
    std::shared_ptr<Backbone> made = make();
    living[digest] = made;
    return made;
}

}  // namespace twinscreen
