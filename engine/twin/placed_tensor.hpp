#pragma once

#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace twinscreen {

/// A constant of a network and its copies where passes run, in the type in which they compute.
/// Independent; one thread.
class PlacedTensor {
public:
    PlacedTensor() = default;
    PlacedTensor(at::Tensor host) : host_(std::move(host)) {}  // NOLINT: it is that tensor

    const at::Tensor& host() const noexcept { return host_; }

    /// On the device of the other tensor and of its type; copied the first time.
    const at::Tensor& like(const at::Tensor& other) const
    {
        return as(other.device(), other.scalar_type());
    }
    /// On the device of the other tensor, of its own type: for indices.
    const at::Tensor& beside(const at::Tensor& other) const
    {
        return as(other.device(), host_.scalar_type());
    }

private:
    const at::Tensor& as(const at::Device& device, at::ScalarType type) const
    {
        if (host_.device() == device && host_.scalar_type() == type) return host_;
        for (const at::Tensor& copy : copies_)
            if (copy.device() == device && copy.scalar_type() == type) return copy;
        copies_.push_back(host_.to(device, type));
        return copies_.back();
    }

    at::Tensor host_;
    mutable std::vector<at::Tensor> copies_;
};

}  // namespace twinscreen
