"""PyTorch modules for export_test.py: small ones that use what vision models use, and some that a
graph cannot say."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x):
        y = self.norm(self.conv(x))
        y += x
        return self.relu(y)


class Residual(nn.Module):
    """In-place operations, dropout, and a ReLU that is used twice."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block = Block(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.relu(self.block(x) - 0.5)
        return self.head(self.drop(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


class SqueezeExcite(nn.Module):
    """Depthwise convolutions, gates, two outputs."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 6, 3, padding=1, groups=3)
        self.down, self.up = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x):
        x = F.hardswish(self.depthwise(x))
        gate = F.hardsigmoid(self.up(F.silu(self.down(x.mean((2, 3), keepdim=True)))))
        left, right = self.shuffle(x * gate).chunk(2, dim=1)
        return torch.cat([right, left], 1), F.relu6(left * 4).amax((2, 3))


class Transformer(nn.Module):
    """Patches, a class token, positions, attention by hand and by PyTorch's layers."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 17, 16))
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True,
                                                activation="gelu")
        self.qkv = nn.Linear(16, 48)
        self.head = nn.Linear(16, 7)

    def forward(self, x):
        rows = x.shape[0]
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(rows, -1, -1), x], 1) + self.position
        x = self.layer(x)
        q, k, v = self.qkv(x).reshape(rows, 17, 3, 4, 4).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, 17, 16)
        x = x + (q * 0.5 @ k.transpose(-2, -1)).softmax(-1).matmul(v).transpose(1, 2).flatten(2)
        return self.head(x[:, 0])


class Convnext(nn.Module):
    """A large depthwise kernel, and layer norm over channels that come last."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(3, 3, 7, padding=3, groups=3)
        self.norm = nn.LayerNorm(3)
        self.wide, self.narrow = nn.Linear(3, 12), nn.Linear(12, 3)
        self.gamma = nn.Parameter(torch.full((3,), 0.1))

    def forward(self, x):
        y = self.depthwise(x).permute(0, 2, 3, 1)
        y = self.narrow(F.gelu(self.wide(self.norm(y)), approximate="tanh")) * self.gamma
        return x + y.permute(0, 3, 1, 2)


class Windows(nn.Module):
    """Attention in shifted windows: more rows than images, a bias by index, a mask."""

    def __init__(self):
        super().__init__()
        self.patch, self.qkv = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 24)
        self.table = nn.Parameter(torch.randn(49, 2))
        place = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"))
        place = place.flatten(1)
        apart = (place[:, :, None] - place[:, None]).permute(1, 2, 0) + 3
        self.register_buffer("index", apart[..., 0] * 7 + apart[..., 1])

    def forward(self, x):
        x = torch.roll(self.patch(x).permute(0, 2, 3, 1), (-2, -2), (1, 2))
        rows, height, width, channels = x.shape
        x = x.view(rows, height // 4, 4, width // 4, 4, channels)
        x = x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, 16, channels)
        q, k, v = self.qkv(x).view(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index.view(-1)].view(16, 16, 2).permute(2, 0, 1)
        mask = x.new_zeros(4, 16, 16)
        mask[0, :8] = -100.0
        scores = (q @ k.transpose(-2, -1) + bias).view(-1, 4, 2, 16, 16) + mask[:, None]
        x = (scores.view(-1, 2, 16, 16).softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, channels)
        x = x.view(-1, 2, 2, 4, 4, channels).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(rows, height, width, channels)


class Activations(nn.Module):
    def __init__(self):
        super().__init__()
        self.prelu = nn.PReLU(3)

    def forward(self, x):
        functions = (F.relu, F.relu6, F.gelu, F.silu, F.elu, F.selu, F.celu, F.mish, F.hardswish,
                     F.hardsigmoid, F.hardtanh, F.leaky_relu, F.softplus, torch.sigmoid, torch.tanh,
                     F.logsigmoid, F.tanhshrink, F.softsign, self.prelu, torch.erf, torch.sin,
                     torch.cos, torch.sign, torch.floor, torch.ceil, torch.neg, torch.square)
        parts = [function(x) for function in functions]
        parts += [F.softmax(x, 1), F.log_softmax(x, 2), F.glu(x, 3).repeat(1, 1, 1, 2),
                  F.threshold(x, 0.1, 0.5)]
        return torch.cat(parts, 1)


class Arithmetic(nn.Module):
    def forward(self, x):
        y = x.abs() + 0.5
        parts = [x + 1, x - 2, 3 - x, x * 2, x / 4, 2 / y, y ** 2, y ** x, 2 - y.sqrt(), y.rsqrt(),
                 y.exp(), y.log(), y.log1p(), x.expm1(), y.reciprocal(), x.clamp(-1, 1),
                 x.clamp(min=0), torch.maximum(x, y / 2), torch.minimum(x, y / 2),
                 torch.where(x > 0, x, y), torch.where(x >= 0.5, x * 0, x),
                 torch.add(x, y, alpha=2), x.new_zeros(x.shape[0], 1, 6, 6) + x,
                 x.masked_fill(x < -1, -1.0), torch.addcmul(x, x, y, value=0.1),
                 x - x.mean((2, 3), keepdim=True), x / x.std(3, keepdim=True),
                 x / (1 + x.var(1, keepdim=True)), x + x.sum(1, keepdim=True),
                 x / torch.linalg.vector_norm(x, dim=1, keepdim=True), F.normalize(x, dim=1),
                 x.amin(1, keepdim=True) + x, x.flip(3), torch.roll(x, 1, 2), -x]
        return torch.cat(parts, 1)


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([
            nn.GroupNorm(3, 6), nn.InstanceNorm2d(6, affine=True), nn.LayerNorm([6, 8, 8]),
            nn.BatchNorm2d(6), nn.RMSNorm(8), nn.LocalResponseNorm(3)])

    def forward(self, x):
        x = x.repeat(1, 2, 1, 1)
        return torch.stack([part(x) for part in self.parts], 1)


class Spatial(nn.Module):
    """Pools, padding, resizing, other convolutions, shapes."""

    def __init__(self):
        super().__init__()
        self.back = nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1)
        self.line = nn.Conv1d(3, 4, 3, padding="same")
        self.same = nn.Conv2d(3, 4, (4, 3), padding="same", padding_mode="reflect")
        self.weight = nn.Parameter(torch.randn(4, 3))

    def forward(self, x):
        flat = [F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
                F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
                F.adaptive_avg_pool2d(x, (3, 2)), F.adaptive_avg_pool2d(x, 2), self.back(x),
                self.line(x.flatten(2)), self.same(x), F.pad(x, (1, 2, 0, 1), "replicate"),
                F.pad(x, (1, 0), value=2.0), F.interpolate(x, scale_factor=2),
                F.interpolate(x, scale_factor=1.5, mode="bilinear"),
                F.interpolate(x, (5, 11), mode="bilinear", align_corners=True),
                F.interpolate(x, scale_factor=2, mode="bicubic"),
                F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2), F.pixel_unshuffle(x, 2),
                torch.einsum("nchw,oc->nohw", x, self.weight), x[:, 1:, ::2, -3:], x[..., 1],
                x[:, [2, 0]], x.unflatten(1, (3, 1)), x.squeeze(1), x.unsqueeze(1).movedim(2, 3),
                x.new_ones(1, 4) * x[:, 0, 0, :4], x.mT,
                *x.split([1, 2], 1), *x.tensor_split(2, 2)]
        return torch.cat([part.flatten(1) for part in flat], 1)


MODULES = {
    "residual": (Residual, (3, 32, 32)), "squeeze_excite": (SqueezeExcite, (3, 16, 12)),
    "transformer": (Transformer, (3, 32, 32)), "convnext": (Convnext, (3, 16, 16)),
    "windows": (Windows, (3, 32, 32)), "activations": (Activations, (3, 6, 6)),
    "arithmetic": (Arithmetic, (3, 6, 6)), "norms": (Norms, (3, 8, 8)),
    "spatial": (Spatial, (3, 8, 10)),
}


class Sorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = SortedInner()

    def forward(self, x):
        return self.inner(x).cumsum(1)


class SortedInner(nn.Module):
    def forward(self, x):
        return torch.sort(x, 1)[0] + torch.fft.fft(x).real


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", torch.eye(8, dtype=torch.bool))

    def forward(self, x):
        return x.masked_fill(self.mask, 0.0)


class CountsImages(nn.Module):
    def forward(self, x):
        return x / x.shape[0]


class SquaresImages(nn.Module):
    def forward(self, x):
        return x.sum((1, 2, 3)).expand(x.shape[0] * x.shape[0] // x.shape[0], -1).reshape(-1)[:1]


class TwoImages(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1)


class MixesImages(nn.Module):
    def forward(self, x):
        return x.mean(0)


class ReturnsItsInput(nn.Module):
    def forward(self, x):
        return x


class Depends(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


REFUSED = [
    (Sorted, "sort", "cumsum", "in 'inner'", "nodes of the module are not supported"),
    (Masked, "uses a boolean constant", "write a mask as float"),
    (CountsImages, "computes with the number of images"),
    (SquaresImages, "of the number of images, expected a multiple of it"),
    (TwoImages, "with a free number of images"),
    (MixesImages, "cannot be an output"),
    (ReturnsItsInput, "not computed from the image"),
    (Depends, "with a free number of images"),
]


def make_lively(module, images):
    """Draws what a new network holds as constants (biases, norms, layer scales of 1e-5) and fits
    its batch norms to the images: its answers then depend on the image, and on every parameter."""
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.1)
            elif parameter.min() == parameter.max():
                nn.init.uniform_(parameter, 0.5, 1.5)
        module.eval()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = 1.0
                layer.train()
        module(images)
    module.eval()
