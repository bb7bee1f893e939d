"""Any picture file becomes the same small window; broken ones become a clear error."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from guqin_kg.errors import DataError, GuqinKGError, LimitError, NotFoundError
from guqin_kg.recognise import images


def picture(size=(60, 90)):
    image = Image.new("L", size, 250)
    draw = ImageDraw.Draw(image)
    draw.rectangle((12, 20, 44, 28), fill=20)
    draw.rectangle((24, 20, 30, 70), fill=20)
    return image


@pytest.fixture
def plain():
    return images.fit(np.asarray(picture()), 64, 48)


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return images.fit(images.load_grey(path), 64, 48)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "CMYK", "1"])
def test_modes_agree(tmp_path, plain, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    image = picture().convert("RGB")
    image = image.quantize(8) if mode == "P" else image.convert(mode, dither=Image.Dither.NONE)
    fitted = saved(tmp_path, image, f"a.{suffix}")
    assert abs(fitted.pixels.astype(int) - plain.pixels).mean() < 4


def test_transparent_paper_is_white(tmp_path, plain):
    grey = picture()
    alpha = grey.point(lambda v: 255 if v < 128 else 0)
    image = Image.merge("LA", (Image.new("L", grey.size, 0), alpha))
    assert abs(saved(tmp_path, image, "a.png").pixels.astype(int) - plain.pixels).mean() < 4


def test_sixteen_bit_and_float(tmp_path, plain):
    values = np.asarray(picture()).astype(np.uint16) * 257
    assert abs(saved(tmp_path, Image.fromarray(values), "a.png").pixels.astype(int) - plain.pixels).mean() < 4
    floating = Image.fromarray((np.asarray(picture()) / 255).astype(np.float32))
    assert abs(saved(tmp_path, floating, "a.tif").pixels.astype(int) - plain.pixels).mean() < 4


def test_exif_rotation(tmp_path, plain):
    turned = picture().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    turned.save(path, exif=exif, quality=95)
    fitted = images.fit(images.load_grey(path), 64, 48)
    assert fitted.size == (60, 90)
    assert abs(fitted.pixels.astype(int) - plain.pixels).mean() < 6


def test_light_on_dark(tmp_path, plain):
    fitted = saved(tmp_path, Image.fromarray(255 - np.asarray(picture())), "a.png")
    assert abs(fitted.pixels.astype(int) - plain.pixels).mean() < 4


def test_box_goes_back_to_the_file(plain):
    x, y, _w, _h = plain.to_file((0, 0, 1, 1))
    assert (x, y) == pytest.approx((12, 20), abs=12)
    ys, xs = np.nonzero(plain.pixels > 128)
    box = (xs.min() / 48, ys.min() / 64, (xs.max() + 1) / 48, (ys.max() + 1) / 64)
    assert plain.to_file(box) == pytest.approx([12, 20, 33, 51], abs=1.5)


def test_blank_is_blank():
    assert images.fit(np.full((30, 30), 240, np.uint8), 64, 48).blank
    assert images.fit(np.zeros((1, 1), np.uint8), 64, 48).blank


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_corrupt(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        images.load_grey(path)
    assert caught.value.code == "bad-image"


def test_cut_off(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(1).integers(0, 255, (80, 80)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError):
        images.load_grey(path)


def test_missing_and_huge(tmp_path, monkeypatch):
    with pytest.raises(NotFoundError):
        images.load_grey(tmp_path / "no.png")
    path = tmp_path / "a.png"
    picture().save(path)
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(LimitError):
        images.load_grey(path)


def test_larger_than_pillow_itself_opens(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = tmp_path / "a.png"
    picture().save(path)
    with pytest.raises(LimitError) as caught:
        images.load_grey(path)
    assert caught.value.code == "image-too-large"


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(DataError) as caught:
        images.load_grey(tmp_path)
    assert "folder" in caught.value.message
    assert "*.png" in str(caught.value.hint)


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match="the file is empty"):
        images.load_grey(tmp_path / "a.png")


def test_the_reason_of_the_system_is_given_plainly(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "a.png"))

    path = tmp_path / "a.png"
    picture().save(path)
    monkeypatch.setattr(Image, "open", refused)
    with pytest.raises(DataError) as caught:
        images.load_grey(path)
    assert caught.value.message == "cannot read this picture: Permission denied"


def test_light_ink_on_nothing(tmp_path, plain):
    grey = picture()
    alpha = grey.point(lambda v: 255 if v < 128 else 0)
    image = Image.merge("LA", (Image.new("L", grey.size, 255), alpha))
    assert abs(saved(tmp_path, image, "a.png").pixels.astype(int) - plain.pixels).mean() < 4


DEEP = {
    "16": lambda a: a.astype(np.uint16) * 257,
    "8 in 16": lambda a: a.astype(np.uint16),
    "10 in 16": lambda a: a.astype(np.uint16) * 4,
    "12 in 16": lambda a: a.astype(np.uint16) * 16,
    "32, 24 used": lambda a: a.astype(np.int32) * 65536,
    "32, signed": lambda a: a.astype(np.int32) * (2**31 // 256),
    "float to 1": lambda a: (a / 255).astype(np.float32),
    "float to 1.004": lambda a: (a / 249).astype(np.float32),
    "float to 1.02": lambda a: (a / 245).astype(np.float32),
    "float to 4": lambda a: (a / 62.5).astype(np.float32),
    "float to 255": lambda a: a.astype(np.float32),
    "float to 259": lambda a: (a * 1.036).astype(np.float32),
    "float to 65535": lambda a: a.astype(np.float32) * 257,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_pictures_agree(tmp_path, plain, name):
    deep = saved(tmp_path, Image.fromarray(DEEP[name](np.asarray(picture()))), "a.tif")
    assert abs(deep.pixels.astype(int) - plain.pixels).mean() < 4


def test_unsigned_integers_of_32_bits(tmp_path):
    """Pillow reads them as signed ones and cannot write them: the tag is changed in the file."""
    path = tmp_path / "a.tif"
    values = np.asarray(picture()).astype(np.uint32) * (2**32 // 256)
    Image.fromarray(values.view(np.int32)).save(path)
    entry = (339).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    data = path.read_bytes()
    assert data.count(entry + b"\2\0") == 1
    path.write_bytes(data.replace(entry + b"\2\0", entry + b"\1\0"))
    assert ((images.load_grey(path) > 128) == (np.asarray(picture()) > 128)).all()


def test_a_full_sixteen_bit_picture_keeps_its_scale():
    values = np.linspace(0, 40000, 64).astype(np.uint16).reshape(8, 8)
    assert (images.to_grey(Image.fromarray(values)) == (values / 65535 * 255).astype(np.uint8)).all()


@pytest.mark.parametrize(("level", "noise"), [(60000, 200), (4000, 12)])
def test_deep_paper_stays_blank(level, noise):
    values = np.random.default_rng(1).integers(level - noise, level, (40, 40)).astype(np.uint16)
    assert images.fit(images.to_grey(Image.fromarray(values)), 64, 48).blank


@pytest.mark.parametrize("suffix", ["eps", "pdf"])
def test_no_program_is_run(tmp_path, monkeypatch, suffix):
    """Ghostscript would be called for an EPS, whatever the file is named."""
    from PIL import EpsImagePlugin

    def ran(*_, **__):
        raise AssertionError("a program was run")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ran)
    path = tmp_path / "a.png"
    picture().save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(path)
    with pytest.raises(DataError) as caught:
        images.load_grey(path)
    assert caught.value.message == "this is no picture of a known kind"


@pytest.mark.parametrize("kind", images.FORMATS)
def test_each_promised_format_is_read(tmp_path, plain, kind):
    from PIL import features

    module = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}.get(kind)
    if module and (kind not in images._formats() or not features.check(module)):
        pytest.skip(f"this Pillow has no {kind}")
    path = tmp_path / "a.picture"
    picture().convert("RGB").save(path, format=kind)
    assert abs(images.fit(images.load_grey(path), 64, 48).pixels.astype(int) - plain.pixels).mean() < 6


@pytest.mark.parametrize("error", [RuntimeError, NotImplementedError, KeyError, ZeroDivisionError, MemoryError])
def test_whatever_a_decoder_raises_is_a_bad_image(tmp_path, monkeypatch, error):
    from PIL.PngImagePlugin import PngImageFile

    def broken(_):
        raise error("decoder")

    monkeypatch.setattr(PngImageFile, "load", broken)
    picture().save(tmp_path / "a.png")
    with pytest.raises(DataError) as caught:
        images.load_grey(tmp_path / "a.png")
    assert caught.value.code == "bad-image"


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "b\0.png"])
def test_a_name_that_no_file_can_have(tmp_path, name):
    with pytest.raises(GuqinKGError) as caught:
        images.load_grey(tmp_path / name)
    assert caught.value.hint
