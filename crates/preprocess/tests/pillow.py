"""Reference for pillow.rs: encoded files and what Pillow and numpy make of them.

    pillow.py OUT [PHOTOS.tar]

Writes OUT/NAME.<ext> and OUT/NAME.f32 (height x width x 3, levels 0-255, little-endian float32),
and OUT/cases.tsv: file, steps (none | imagenet), width, height.
"""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = 24


def imagenet(image):
    """torchvision's Resize(256) and CenterCrop(224), in its own arithmetic."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    longer = int(256 * long / short)
    image = image.resize((256, longer) if width <= height else (longer, 256), Image.BILINEAR)
    width, height = image.size
    left, top = int(round((width - 224) / 2.0)), int(round((height - 224) / 2.0))
    return image.crop((left, top, left + 224, top + 224))


def save(image, extension, **options):
    out = io.BytesIO()
    image.save(out, extension, **options)
    return out.getvalue()


def modes():
    """One small picture in every pixel format that the three containers commonly hold."""
    y, x = np.mgrid[0:48, 0:64]
    red, green, blue = (x * 4).astype(np.uint8), (y * 5).astype(np.uint8), ((x + y) * 2).astype(np.uint8)
    rgb = Image.fromarray(np.dstack([red, green, blue]))
    alpha = Image.fromarray(((x * 7) % 256).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey_alpha = rgb.convert("L")
    grey_alpha.putalpha(alpha)
    yield "png-rgb", save(rgb, "PNG")
    yield "png-rgba", save(rgba, "PNG")
    yield "png-l", save(rgb.convert("L"), "PNG")
    yield "png-la", save(grey_alpha, "PNG")
    yield "png-1", save(rgb.convert("1"), "PNG")
    yield "png-p", save(rgb.quantize(64), "PNG")
    yield "png-p-transparent", save(rgb.quantize(64), "PNG", transparency=3)
    yield "png-l-transparent", save(rgb.convert("L"), "PNG", transparency=3)
    yield "webp-lossless", save(rgb, "WEBP", lossless=True)
    yield "webp-lossless-alpha", save(rgba, "WEBP", lossless=True, exact=True)
    yield "webp-lossy", save(rgb, "WEBP", quality=90)
    yield "jpeg-444", save(rgb, "JPEG", quality=92, subsampling=0)
    yield "jpeg-420", save(rgb, "JPEG", quality=92, subsampling=2)
    yield "jpeg-progressive", save(rgb, "JPEG", quality=92, subsampling=0, progressive=True)
    yield "jpeg-l", save(rgb.convert("L"), "JPEG", quality=92)
    yield "jpeg-cmyk", save(rgb.convert("CMYK"), "JPEG", quality=92)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "jpeg-rotated-by-exif", save(rgb, "JPEG", quality=92, subsampling=0, exif=exif)


def main():
    out = Path(sys.argv[1])
    rows = []

    def case(name, encoded, steps):
        image = Image.open(io.BytesIO(encoded)).convert("RGB")
        if steps == "imagenet":
            image = imagenet(image)
        (out / name).write_bytes(encoded)
        (out / f"{name}.f32").write_bytes(np.asarray(image, dtype="<f4").tobytes())
        rows.append(f"{name}\t{steps}\t{image.width}\t{image.height}\n")

    for name, encoded in modes():
        case(name, encoded, "none")
    if len(sys.argv) > 2:
        with tarfile.open(sys.argv[2]) as photos:
            members = [member for member in photos.getmembers() if member.isfile()][:PHOTOS]
            for index, member in enumerate(members):
                encoded = photos.extractfile(member).read()
                case(f"photo-{index}-jpeg", encoded, "none")
                case(f"photo-{index}-jpeg-fit", encoded, "imagenet")
                pixels = Image.open(io.BytesIO(encoded)).convert("RGB")
                case(f"photo-{index}-png-fit", save(pixels, "PNG"), "imagenet")
    (out / "cases.tsv").write_text("".join(rows))


main()
