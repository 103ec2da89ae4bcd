"""The networks that are timed, in PyTorch: the layers and shapes of ours, with random weights."""

import math

import torch
from torch import nn
from torch.nn import functional as F

MELS, SPEAKERS = 80, 1000


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class ResNet34(nn.Module):
    def __init__(self, channels=32, embedding=256):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        blocks, inputs = [], channels
        for stage, count in enumerate([3, 4, 6, 3]):
            outputs = channels << stage
            for block in range(count):
                blocks.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.embedding = nn.Linear(2 * inputs * MELS // 8, embedding)

    def forward(self, features):
        hidden = self.blocks(F.relu(self.bn(self.stem(features.unsqueeze(1)))))
        hidden = hidden.flatten(1, 2)
        std = (hidden.var(dim=2) + 1e-7).sqrt()
        return self.embedding(torch.cat([hidden.mean(dim=2), std], dim=1))


class SeRes2Block(nn.Module):
    def __init__(self, channels, dilation, scale=8, bottleneck=128):
        super().__init__()
        width = channels // scale
        self.conv1, self.bn1 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False) for _ in range(scale - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(scale - 1))
        self.conv3, self.bn3 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.fc1, self.fc2 = nn.Linear(channels, bottleneck), nn.Linear(bottleneck, channels)
        self.scale = scale

    def forward(self, x):
        first, *groups = torch.chunk(self.bn1(F.relu(self.conv1(x))), self.scale, dim=1)
        outputs = [first]
        for index, (group, conv, bn) in enumerate(zip(groups, self.convs, self.bns)):
            outputs.append(bn(F.relu(conv(group + outputs[-1] if index else group))))
        hidden = self.bn3(F.relu(self.conv3(torch.cat(outputs, dim=1))))
        gain = torch.sigmoid(self.fc2(F.relu(self.fc1(hidden.mean(dim=2)))))
        return hidden * gain.unsqueeze(2) + x


class EcapaTdnn(nn.Module):
    def __init__(self, channels, embedding=192):
        super().__init__()
        rows = 3 * channels
        self.conv1, self.bn1 = nn.Conv1d(MELS, channels, 5, padding=2), nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList(SeRes2Block(channels, dilation) for dilation in (2, 3, 4))
        self.conv2 = nn.Conv1d(rows, rows, 1)
        self.attention1, self.attention2 = nn.Conv1d(3 * rows, 128, 1), nn.Conv1d(128, rows, 1)
        self.bn2 = nn.BatchNorm1d(2 * rows)
        self.fc, self.bn3 = nn.Linear(2 * rows, embedding), nn.BatchNorm1d(embedding)

    def forward(self, features):
        total = self.bn1(F.relu(self.conv1(features)))
        outputs = []
        for block in self.blocks:
            outputs.append(block(total))
            total = total + outputs[-1]
        hidden = F.relu(self.conv2(torch.cat(outputs, dim=1)))
        mean, std = hidden.mean(dim=2, keepdim=True), (hidden.var(dim=2, keepdim=True) + 1e-7).sqrt()
        seen = torch.cat([hidden, mean.expand_as(hidden), std.expand_as(hidden)], dim=1)
        weights = torch.softmax(self.attention2(torch.tanh(self.attention1(seen))), dim=2)
        mean = (weights * hidden).sum(dim=2)
        variance = (weights * hidden * hidden).sum(dim=2) - mean * mean
        pooled = torch.cat([mean, variance.clamp(min=1e-7).sqrt()], dim=1)
        return self.bn3(self.fc(self.bn2(pooled)))


class FrontBlock(BasicBlock):
    def __init__(self, channels, stride):
        super().__init__(channels, channels, (stride, 1))
        if stride == 1:
            self.shortcut = nn.Sequential()


class CamDenseLayer(nn.Module):
    def __init__(self, inputs, dilation, growth=32, inner=128):
        super().__init__()
        self.bn1, self.linear1 = nn.BatchNorm1d(inputs), nn.Conv1d(inputs, inner, 1, bias=False)
        self.bn2 = nn.BatchNorm1d(inner)
        self.local = nn.Conv1d(inner, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.context1, self.context2 = nn.Conv1d(inner, inner // 2, 1), nn.Conv1d(inner // 2, growth, 1)

    def forward(self, x):
        hidden = F.relu(self.bn2(self.linear1(F.relu(self.bn1(x)))))
        frames = hidden.shape[2]
        segments = F.avg_pool1d(hidden, 100, 100, ceil_mode=True)
        segments = segments.unsqueeze(3).expand(-1, -1, -1, 100).flatten(2)[:, :, :frames]
        context = hidden.mean(dim=2, keepdim=True) + segments
        mask = torch.sigmoid(self.context2(F.relu(self.context1(context))))
        return torch.cat([x, self.local(hidden) * mask], dim=1)


class CamPlusPlus(nn.Module):
    def __init__(self, embedding=192):
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            *(FrontBlock(32, stride) for stride in (2, 1, 2, 1)),
            nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )
        layers = [nn.Conv1d(32 * MELS // 8, 128, 5, 2, 2, bias=False), nn.BatchNorm1d(128), nn.ReLU()]
        channels = 128
        for count, dilation in ((12, 1), (24, 2), (16, 2)):
            layers += [CamDenseLayer(channels + 32 * layer, dilation) for layer in range(count)]
            channels += 32 * count
            layers += [nn.BatchNorm1d(channels), nn.ReLU(), nn.Conv1d(channels, channels // 2, 1, bias=False)]
            channels //= 2
        self.layers = nn.Sequential(*layers, nn.BatchNorm1d(channels), nn.ReLU())
        self.dense = nn.Linear(2 * channels, embedding, bias=False)
        self.bn = nn.BatchNorm1d(embedding, affine=False)

    def forward(self, features):
        hidden = self.layers(self.front(features.unsqueeze(1)).flatten(1, 2))
        statistics = torch.cat([hidden.mean(dim=2), hidden.var(dim=2).clamp(min=1e-14).sqrt()], dim=1)
        return self.bn(self.dense(statistics))


class AamSoftmax(nn.Module):
    def __init__(self, embedding, margin=0.2, scale=32.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SPEAKERS, embedding) * 0.1)
        self.cos, self.sin, self.scale = math.cos(margin), math.sin(margin), scale

    def forward(self, embeddings, speakers):
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        sine = (1.0 - cosine.square()).clamp(min=1e-9).sqrt()
        target = F.one_hot(speakers, SPEAKERS)
        logits = torch.where(target > 0, cosine * self.cos - sine * self.sin, cosine)
        return F.cross_entropy(self.scale * logits, speakers)


MODELS = {
    "resnet34-c32": (ResNet34, 256),
    "ecapa-c512": (lambda: EcapaTdnn(512), 192),
    "ecapa-c1024": (lambda: EcapaTdnn(1024), 192),
    "cam++": (CamPlusPlus, 192),
}
