"""What the picture reader sees with: text by RapidOCR, things by EfficientNet-Lite2, measures.

    found = Eyes(weights_folder).look(image)

Holds about 200 MB, and up to 700 MB while it reads; it belongs into a process of its
own, `llm.picture_worker`. It says what it measured, and leaves it to `llm.findings` to
conclude anything from that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from llm import object_weights
from llm.images import SENT_SIDE
from llm.picture_measures import measure

THREADS = min(2, max(1, (os.cpu_count() or 2) // 2))
"""At most two, and half of the processor's: other people's replies go on."""
DETECTION_PIXELS = 1_800_000
"""Text is looked for on a picture of at most so many pixels, and read on the full one. On a
screen of 1,920 × 1,080 letters of 12 pixels were all found with 1.3 million, at half the
time and memory that the whole takes."""
DETECTION_SHORT_SIDE, MOST_ENLARGED = 736, 2.0
"""Small pictures are enlarged towards this shorter side (PaddleOCR's own figure) before the
look: small letters are found better."""
MOST_LINES = 150
"""A page of small print has about a hundred; each takes some 40 ms."""
LEAST_CONFIDENCE, LEAST_OF_SHORT = 0.6, 0.95
"""What the recognizer is less sure of is noise more often than text; so are up to three
letters, of which it has to be surer: circles and leaves are read as 0 and W."""
UPRIGHT_CONFIDENCE = 0.75
"""Read with less than this, the text may stand upside down: it is tried."""


class Eyes:
    """RapidOCR for text, EfficientNet-Lite2 for things, and simple measures."""

    def __init__(self, weights: Path):
        self._objects = _object_network(object_weights.file_in(weights))
        self._labels = [line.split("\t") for line in
                        Path(__file__).with_name("imagenet_labels.txt").read_text().splitlines()]
        self._text = _TextReader()

    def look(self, image: Image.Image) -> dict[str, Any]:
        """All that `llm.findings.Findings` is made of, as plain data."""
        pixels = np.asarray(image)[:, :, ::-1]  # OpenCV's order: blue, green, red.
        return {"width": image.width, "height": image.height, **self._text.read(pixels),
                "objects": self._name(image), "measures": measure(image).as_dict()}

    def _name(self, image: Image.Image) -> list[tuple[str, float, bool]]:
        """The likeliest labels and groups of labels: name, probability, whether it is a group."""
        logits = np.stack([self._objects.run(None, {"pixels": view})[0][0]
                           for view in _views(image)])
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)
        sums: dict[tuple[str, bool], float] = {}
        for names, probability in zip(self._labels, probabilities, strict=True):
            for name, is_group in zip(names, (False, True), strict=False):
                sums[name, is_group] = sums.get((name, is_group), 0.0) + float(probability)
        best = sorted(sums.items(), key=lambda item: -item[1])[:6]
        return [(name, round(probability, 3), is_group) for (name, is_group), probability in best]


def _object_network(model: Path):
    """The network from its ONNX file, which is written first where it is missing or damaged."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.enable_cpu_mem_arena = False
    for is_fresh in (False, True):
        if is_fresh or not model.is_file():
            object_weights.write_onnx(model)
        try:
            return onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"])
        except Exception:  # Of a dozen classes of its own, without a common root.
            if is_fresh:
                raise


def _views(image: Image.Image) -> list[np.ndarray]:
    """The middle of the picture and the whole of it, each as it is and mirrored.

    The middle is cut as the network was tested: 260 of 292 pixels of the shorter side.
    The mean over the four is less sure of itself where it has no reason to be.
    """
    side = object_weights.SIDE
    width, height = image.size
    crop = side / (side + 32) * min(width, height)
    left, top = (width - crop) / 2, (height - crop) / 2
    views = []
    for box in ((left, top, left + crop, top + crop), (0, 0, width, height)):
        scaled = image.resize((side, side), Image.Resampling.BICUBIC, box=box, reducing_gap=2)
        view = (np.asarray(scaled, dtype=np.float32).transpose(2, 0, 1)[None] - 127) / 128
        views += [view, np.ascontiguousarray(view[..., ::-1])]
    return views


Lines = list[tuple[str, float, float, float, float, float]]
"""Text, confidence, and the box: left, top, right, bottom."""


class _TextReader:
    """PP-OCRv6 by RapidOCR: where text stands, then what it says."""

    def __init__(self):
        from rapidocr import RapidOCR
        from rapidocr.utils.process_img import get_rotate_crop_image

        # Its classifier of upside-down lines is left out: it turned lines that stood
        # upright, one in fifteen on clean text, and nothing else did harm there.
        engine = RapidOCR(params={
            "Global.log_level": "error",
            "Rec.rec_batch_num": 1,  # Padded to the longest of a batch, six take longer.
            "Det.limit_type": "max",
            "Det.limit_side_len": 2 * SENT_SIDE,  # Scaled by `_boxes` already: leave it so.
            "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        })
        self._find, self._recognize = engine._load_det_model(), engine._load_rec_model()
        self._cut_out = get_rotate_crop_image

    def read(self, pixels: np.ndarray) -> dict[str, Any]:
        """The lines, by how many degrees they were turned to be read, how many were left out
        for there are too many, and how many could not be read."""
        boxes = self._boxes(pixels)
        if not len(boxes):
            return {"lines": [], "turned": 0, "lines_left_out": 0, "lines_unread": 0}
        turned = 0
        if _are_mostly_upright_strips(boxes):
            pixels, turned = np.ascontiguousarray(np.rot90(pixels, -1)), 90
            boxes = self._boxes(pixels)
        sample = sorted(boxes, key=_length, reverse=True)[:3]
        if sample and self._confidence(pixels, sample) < UPRIGHT_CONFIDENCE:
            over = np.ascontiguousarray(np.rot90(pixels, 2))
            over_boxes = self._boxes(over)
            sample_over = sorted(over_boxes, key=_length, reverse=True)[:3]
            if sample_over and self._confidence(over, sample_over) \
                    > max(self._confidence(pixels, sample) + 0.1, UPRIGHT_CONFIDENCE):
                pixels, boxes, turned = over, over_boxes, (turned + 180) % 360
        kept = boxes[:MOST_LINES]
        lines: Lines = []
        unread = 0
        for box, (text, score) in zip(_straightened(kept), self._texts(pixels, kept),
                                      strict=True):
            if _is_read(text, score, box):
                lines.append((text.strip(), round(float(score), 3),
                              *map(float, (*box.min(0), *box.max(0)))))
            else:
                unread += _is_long(box)
        return {"lines": lines, "turned": turned if lines else 0,
                "lines_left_out": len(boxes) - len(kept), "lines_unread": unread}

    def _boxes(self, pixels: np.ndarray) -> np.ndarray:
        """Quadrilaterals around pieces of text, (n, 4, 2) in pixels, from top to bottom."""
        import cv2

        height, width = pixels.shape[:2]
        scale = min((DETECTION_PIXELS / (height * width)) ** 0.5, MOST_ENLARGED,
                    max(1.0, DETECTION_SHORT_SIDE / min(height, width)))
        # The network wants multiples of 32; a strip is widened, or it would vanish.
        size = [max(64, round(length * scale / 32) * 32) for length in (width, height)]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        found = self._find(cv2.resize(pixels, size, interpolation=how)).boxes
        if found is None:
            return np.empty((0, 4, 2), np.float32)
        return (found * (width / size[0], height / size[1])).astype(np.float32)

    def _texts(self, pixels: np.ndarray, boxes) -> list[tuple[str, float]]:
        pieces = [self._cut_out(pixels, box.copy()) for box in boxes]
        texts = self._read_pieces(pieces)
        # What stands upright was laid down one way, and may read the other: the label of an axis.
        strips = [number for number, box in enumerate(boxes) if _is_strip(box)]
        over = self._read_pieces([np.rot90(pieces[number], 2) for number in strips])
        for number, other in zip(strips, over, strict=True):
            texts[number] = max(texts[number], other, key=lambda read: read[1])
        return texts

    def _read_pieces(self, pieces: list[np.ndarray]) -> list[tuple[str, float]]:
        from rapidocr.ch_ppocr_rec.typings import TextRecInput

        if not pieces:
            return []
        read = self._recognize(TextRecInput(img=pieces, return_word_box=False))
        return list(zip(read.txts, read.scores, strict=True))

    def _confidence(self, pixels: np.ndarray, boxes) -> float:
        return float(np.mean([score for _, score in self._texts(pixels, boxes)]))


def _length(box: np.ndarray) -> float:
    return float(max(np.ptp(box, axis=0)))


def _is_read(text: str, score: float, box: np.ndarray) -> bool:
    """Of a script that it does not know the recognizer is sure of the full stops, or of nothing."""
    signs = "".join(text.split())
    width, height = np.ptp(box, axis=0)
    least_signs = 0.3 if any(map(str.isalnum, signs)) else 0.5
    return bool(signs) and score >= (LEAST_CONFIDENCE if len(signs) > 3 else LEAST_OF_SHORT) \
        and not (_is_long(box) and len(signs) < least_signs * width / height)


def _is_long(box: np.ndarray) -> bool:
    """Whether it has the shape of some words: what else is taken for text seldom has."""
    width, height = np.ptp(box, axis=0)
    return bool(width >= 3 * height and height >= 10)


def _straightened(boxes: np.ndarray) -> np.ndarray:
    """The boxes as they would stand had the picture been taken straight.

    On a page that leans, the end of one line is as high as the beginning of another: a price
    would be read with the wrong thing.
    """
    along = boxes[:, 1] - boxes[:, 0]
    lengths = np.hypot(*along.T)
    # By the length: a short piece's box leans any way.
    order = (slopes := np.arctan2(along[:, 1], along[:, 0])).argsort()
    middle = np.searchsorted(lengths[order].cumsum(), lengths.sum() / 2)
    sine, cosine = np.sin(slopes[order][middle]), np.cos(slopes[order][middle])
    return boxes @ np.array([[cosine, -sine], [sine, cosine]], boxes.dtype)


def _is_strip(box: np.ndarray) -> bool:
    width, height = np.ptp(box, axis=0)
    return bool(height > 1.5 * width)


def _are_mostly_upright_strips(boxes: np.ndarray) -> bool:
    """Whether more text runs from top to bottom than from side to side."""
    strips = np.array(list(map(_is_strip, boxes)))
    lengths = np.ptp(boxes, axis=1).max(axis=1)
    return bool(lengths[strips].sum() > lengths[~strips].sum())
