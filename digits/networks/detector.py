"""A small anchor-free detector that a CPU can train: every object is a peak on the map of its class, and the cells around the
peak say how far away its four sides are (after Zhou et al., "Objects as Points", 2019, and Liu et al., "TTFNet", 2020).

Any input size: the picture is padded to a multiple of 32. Cells are 8 pixels wide, or 4 where the data has tiny objects.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import batched_nms, generalized_box_iou_loss

BATCH_SIZE = 8
WIDTHS = (16, 32, 64, 96, 128)  # channels at 1/2, 1/4, 1/8, 1/16, 1/32 of the picture's size
NECK = 64  # channels of the map that the peaks are read from
TINY = 12.0  # objects smaller than this many pixels want cells of 4 pixels
SPREAD = 0.54  # part of an object's box in which its peak is above nothing, and its sides are learnt
BOX_WEIGHT = 5.0  # of the boxes' loss beside the peaks'
LEAST_SCORE = 0.05
OVERLAP = 0.6  # of two boxes of a class that overlap more only the better stays
MOST = 300  # boxes a picture


def convolution(inputs, outputs, kernel=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Two convolutions and a way around them (He et al., 2015)."""

    def __init__(self, channels):
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Features(nn.Module):
    """Maps at 1/2 … 1/32 of the size, joined from the coarsest back to the one with cells of `stride` pixels."""

    def __init__(self, channels, stride):
        super().__init__()
        pairs = zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(a, b, stride=2), *[Block(b) for _ in range(level > 0)])
            for level, (a, b) in enumerate(pairs)
        )
        self.level = {4: 1, 8: 2}[stride]
        self.side = nn.ModuleList(nn.Conv2d(width, NECK, 1) for width in WIDTHS[self.level :])
        self.smooth = nn.ModuleList(convolution(NECK, NECK) for _ in WIDTHS[self.level + 1 :])

    def forward(self, x):
        maps = []
        for stage in self.down:
            x = stage(x)  # (N, 16, H/2, W/2), (N, 32, H/4, W/4), … (N, 128, H/32, W/32)
            maps.append(x)
        maps = [side(each) for side, each in zip(self.side, maps[self.level :], strict=True)]  # NECK channels each
        x = maps.pop()
        for smooth in self.smooth:
            x = smooth(maps.pop() + F.interpolate(x, scale_factor=2.0))  # … (N, NECK, H/stride, W/stride)
        return x


class Detector(nn.Module):
    def __init__(self, channels, classes, box_sizes):
        super().__init__()
        self.stride = 4 if box_sizes[0] < TINY else 8
        self.nms_thresh = OVERLAP  # the pages set it to 1 to see all boxes
        self.reach = box_sizes[2] / 2  # a distance of e^0 in pixels: half of the middle object
        self.features = Features(channels, self.stride)
        self.peaks = nn.Sequential(convolution(NECK, NECK), nn.Conv2d(NECK, classes, 1))
        self.sides = nn.Sequential(convolution(NECK, NECK), nn.Conv2d(NECK, 4, 1))
        nn.init.constant_(self.peaks[1].bias, -2.2)  # a tenth: few cells are peaks
        nn.init.constant_(self.sides[1].weight, 0.0)

    def forward(self, images, targets=None):
        """Losses in training; otherwise boxes, scores and labels of each image."""
        if self.training:
            return self.losses(*self.maps(images), targets)
        return [self.kept(*each) for each in zip(*self.candidates(images), strict=True)]

    def maps(self, images):
        """Scores of the peaks (N, K, h, w) before the sigmoid, and the box of each cell (N, 4, h, w)."""
        height, width = images.shape[-2:]
        x = self.features(F.pad(images, (0, -width % 32, 0, -height % 32)))  # (N, NECK, h, w)
        return self.peaks(x).float(), self.boxes(self.sides(x).float())

    def candidates(self, images):
        """The M best peaks of each image, best first, overlapping ones too: boxes (N, M, 4), scores (N, M), which are 0 where
        there is nothing, and labels (N, M)."""
        peaks, boxes = self.maps(images)
        scores = peaks.sigmoid()  # (N, K, h, w)
        scores = scores * (F.max_pool2d(scores, 3, 1, 1) == scores)  # above their neighbours
        best, places = scores.flatten(1).topk(min(MOST, scores[0].numel()))  # (N, M) of K · h · w cells
        cells = scores.shape[2] * scores.shape[3]
        chosen = boxes.flatten(2).mT.gather(1, (places % cells)[:, :, None].expand(-1, -1, 4))  # (N, M, 4)
        limit = torch.tensor([images.shape[3], images.shape[2]] * 2, device=boxes.device)
        return chosen.clamp(min=0).minimum(limit), best * (best >= LEAST_SCORE), places // cells

    def kept(self, boxes, scores, labels):
        """Of one image what stays, best first."""
        boxes, scores, labels = boxes[scores > 0], scores[scores > 0], labels[scores > 0]
        kept = batched_nms(boxes, scores, labels, self.nms_thresh)
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}

    def centres(self, like):
        """Pixel coordinates of the cells' middles: x (W,) and y (H, 1)."""
        height, width = like.shape[-2:]
        x = (torch.arange(width, device=like.device) + 0.5) * self.stride
        y = (torch.arange(height, device=like.device) + 0.5) * self.stride
        return x, y[:, None]

    def boxes(self, sides):
        """Left, top, right, bottom (N, 4, H, W) in pixels from the four distances."""
        x, y = self.centres(sides)
        left, top, right, bottom = (sides.clamp(-6, 6).exp() * self.reach).unbind(1)
        return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)

    def losses(self, peaks, boxes, targets):
        wanted, shares, sources = zip(*[self.wanted(peaks[0], target) for target in targets], strict=True)
        objects = torch.tensor([max(len(target["boxes"]), 1) for target in targets], device=peaks.device)
        return {  # means over pictures of means over their objects: the same however pictures are divided into batches
            "peak_loss": (peak_losses(peaks, torch.stack(wanted)) / objects).mean(),
            "box_loss": BOX_WEIGHT * self.box_losses(boxes, torch.stack(shares), torch.stack(sources)).mean(),
        }

    @torch.no_grad()
    def wanted(self, like, target):
        """For one image: the map of peaks (K, H, W) with −1 where it does not count, how much each cell counts for the sides
        (H, W), and the box that it belongs to (4, H, W)."""
        x, y = self.centres(like)
        peaks, boxes = torch.zeros_like(like), target["boxes"]
        for left, top, right, bottom in target["ignored"]:
            peaks[:, ((x > left) & (x < right) & (y > top) & (y < bottom))] = -1
        if not len(boxes):
            return peaks, torch.zeros_like(like[0]), torch.zeros(4, *like.shape[1:], device=like.device)
        order = (boxes[:, 2:] - boxes[:, :2]).prod(1).argsort(descending=True)  # small objects come last and cover large ones
        boxes, labels = boxes[order], target["labels"][order]
        hills = self.hills(like, boxes)  # (M, h, w)
        for label in labels.unique():
            own = hills[labels == label].amax(0)
            peaks[label] = torch.where(own > 0, own, peaks[label])
        number = torch.arange(1, len(boxes) + 1, device=like.device)[:, None, None]
        owner = (number * (hills > 0)).amax(0)  # 0: of nobody
        share = hills.gather(0, (owner - 1).clamp(min=0)[None])[0] * (owner > 0)
        return peaks, share, boxes[(owner - 1).clamp(min=0)].permute(2, 0, 1)

    def hills(self, like, boxes):
        """A hill (M, H, W) for each box: 1 at the cell of its centre, falling off to 0 at the border of its middle part."""
        x, y = self.centres(like)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        limit = torch.tensor([like.shape[-1], like.shape[-2]], device=like.device) - 1
        cell = (middle / self.stride).floor().clamp(min=0).minimum(limit)
        middle = (cell + 0.5) * self.stride
        half = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1.0) * SPREAD / 2
        far_x = (x - middle[:, :1]) / half[:, :1]  # (M, W), 1 at the border of the middle part
        far_y = (y.T - middle[:, 1:]) / half[:, 1:]
        steep = 4.5  # three standard deviations at the border: exp(−3² / 2)
        hills = torch.exp(-steep * far_x**2)[:, None, :] * torch.exp(-steep * far_y**2)[:, :, None]
        return hills * (far_x.abs() <= 1)[:, None, :] * (far_y.abs() <= 1)[:, :, None]

    def box_losses(self, boxes, shares, sources):
        """Of each image (N,) the generalized IoU of the cells that belong to an object, weighted by how near they are to its
        centre; 0 without any."""
        chosen = shares > 0  # (N, h, w)
        losses = generalized_box_iou_loss(boxes.movedim(1, -1)[chosen], sources.movedim(1, -1)[chosen])
        losses = torch.zeros_like(shares).masked_scatter(chosen, losses.to(shares.dtype))
        return (losses * shares).sum((1, 2)) / shares.sum((1, 2)).clamp(min=1e-6)


def peak_losses(peaks, wanted):
    """Focal loss of each image (N,): cells near a peak are excused by their height (Law and Deng, "CornerNet", 2018)."""
    top = wanted == 1
    chance, other = F.logsigmoid(peaks), F.logsigmoid(-peaks)
    found = peaks.sigmoid()
    right = chance * (1 - found) ** 2 * top
    wrong = other * found**2 * (1 - wanted) ** 4 * ((wanted >= 0) & ~top)
    return -(right + wrong).flatten(1).sum(1)


def build_network(context):
    channels, height, width = context.input_shape
    typical = (height * width) ** 0.5 / 8
    return Detector(channels, context.num_classes, context.box_sizes or (typical,) * 5)
