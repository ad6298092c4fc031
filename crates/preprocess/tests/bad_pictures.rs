//! Everything that is not a good picture gets one clear error, and nothing is allocated for a lie.

#![allow(clippy::unwrap_used, reason = "tests")]

use image::{ImageFormat, codecs::jpeg::JpegEncoder};
use kerf_preprocess::{Limits, Preprocess, Size, Steps};
use kerf_tensor::Tensor;
use proptest::prelude::*;
use std::io::Cursor;

fn picture(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 3) as u8, (y * 5) as u8, (x ^ y) as u8]))
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture(40, 30).write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, 90).encode_image(&picture(40, 30)).unwrap();
    out
}

fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut file = encoded(ImageFormat::Png);
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&file[12..29]);
    file[29..33].copy_from_slice(&crc.to_be_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn each_says_what_is_wrong() {
    let cut = |mut file: Vec<u8>| {
        file.truncate(file.len() / 2);
        file
    };
    let grey16 = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(3, 3, image::Luma([700u16]));
    let mut png16 = Cursor::new(Vec::new());
    grey16.write_to(&mut png16, ImageFormat::Png).unwrap();
    let mut tall = Cursor::new(Vec::new());
    picture(1, 1000).write_to(&mut tall, ImageFormat::Png).unwrap();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "no bytes, expected a JPEG, PNG or WebP file"),
        ("text", b"hello, world".to_vec(), "not a JPEG, PNG or WebP file"),
        ("gif", b"GIF89a\x01\0\x01\0".to_vec(), "not a JPEG, PNG or WebP file but GIF"),
        ("half a jpeg", cut(jpeg()), "truncated JPEG"),
        ("half a png", cut(encoded(ImageFormat::Png)), "PNG"),
        ("half a webp", cut(encoded(ImageFormat::WebP)), "WebP"),
        ("only a magic number", vec![0xff, 0xd8, 0xff], "JPEG"),
        ("bomb", png_of(60_000, 60_000), "PNG declares 60000x60000 pixels, 40000000 are allowed"),
        ("no pixels", png_of(0, 5), "PNG"),
        ("lie", png_of(4_000, 4_000), "PNG"),
        ("16-bit grey", png16.into_inner(), "16-bit greyscale: its range is unknown; convert it to 8 bits"),
        ("sliver", tall.into_inner(), "resizing 1x1000 to 256x256000 makes more than the 40000000 pixels"),
    ];
    for (name, file, message) in cases {
        let error = Preprocess::imagenet().apply(&file).unwrap_err().to_string();
        assert!(error.contains(message), "{name}: {error}");
    }
    let short = Limits { encoded_bytes: 100, ..Limits::default() };
    let error = Preprocess::imagenet().within(short).apply(&jpeg()).unwrap_err().to_string();
    assert!(error.contains("bytes of JPEG, 100 are allowed"), "{error}");
}

#[test]
fn errors_name_the_element_of_the_batch() {
    let imagenet = Preprocess::imagenet;
    let keep = Steps { resize: None, crop: None, ..Steps::imagenet() };
    let keep = Preprocess::new(keep).unwrap();
    let good = jpeg();
    let mut other = Cursor::new(Vec::new());
    picture(41, 30).write_to(&mut other, ImageFormat::Png).unwrap();
    let other = other.into_inner();
    let tiny = Limits { tensor_bytes: 1_000_000, ..Limits::default() };
    let strings = |shape: &[usize], files: &[&[u8]]| Tensor::from_strings(shape, files).unwrap();
    for (steps, tensor, message) in [
        (imagenet(), strings(&[2], &[&good, b"x"]), "picture 1 of 2 (counting from 0): not a JPEG"),
        (imagenet(), strings(&[0], &[]), "no pictures in the batch"),
        (imagenet(), strings(&[1, 2], &[&good, &good]), "BYTES tensor of shape [N], got string[1, 2]"),
        (imagenet(), Tensor::from_vec(&[2], vec![1u8, 2]).unwrap(), "BYTES tensor of shape [N], got u8[2]"),
        (keep, strings(&[2], &[&good, &other]), "picture 1 of 2 (counting from 0) becomes 41x30 pixels"),
        (
            imagenet().within(tiny),
            strings(&[2], &[&good, &good]),
            "2 pictures of 224x224 pixels make a tensor of 1204224 bytes, 1000000 are allowed",
        ),
    ] {
        let error = steps.batch(&tensor).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    for shape in [&[2][..], &[2, 1]] {
        let made = imagenet().batch(&strings(shape, &[&good, &other])).unwrap();
        assert_eq!(made.shape(), [2, 3, 224, 224]);
    }
}

#[test]
fn layouts_and_channels() {
    let mut file = Cursor::new(Vec::new());
    let pixels = [[10u8, 20, 30], [40, 50, 60]];
    image::RgbImage::from_raw(2, 1, pixels.concat()).unwrap().write_to(&mut file, ImageFormat::Png).unwrap();
    let file = file.into_inner();
    for (steps, shape, values) in [
        (r#""layout": "nchw""#, [1, 3, 1, 2], vec![10.0, 40.0, 20.0, 50.0, 30.0, 60.0]),
        (r#""layout": "nhwc""#, [1, 1, 2, 3], vec![10.0, 20.0, 30.0, 40.0, 50.0, 60.0]),
        (r#""channels": "bgr""#, [1, 3, 1, 2], vec![30.0, 60.0, 20.0, 50.0, 10.0, 40.0]),
        (r#""channels": "grey""#, [1, 1, 1, 2], vec![18.0, 48.0]),
        (r#""dtype": "u8""#, [1, 3, 1, 2], vec![10.0, 40.0, 20.0, 50.0, 30.0, 60.0]),
        (r#""crop": {"width": 1, "height": 3}"#, [1, 3, 3, 1], vec![0., 10., 0., 0., 20., 0., 0., 30., 0.]),
    ] {
        let text = format!(r#"{{"scale": 1.0, "mean": [0.0], "std": [1.0], {steps}}}"#);
        let preprocess: Preprocess = serde_json::from_str(&text).unwrap();
        let made = preprocess.apply(&file).unwrap();
        assert_eq!((made.shape(), made.to_f64().unwrap()), (&shape[..], values), "{steps}");
        assert!(preprocess.spec("x").accepts(&made), "{steps}");
    }
    assert_eq!(Size { width: 2, height: 3 }.to_string(), "2x3");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_files_never_panic(which in 0usize..3, at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut file = match which {
            0 => jpeg(),
            1 => encoded(ImageFormat::Png),
            _ => encoded(ImageFormat::WebP),
        };
        let at = at.index(file.len());
        file[at] ^= flip;
        let _ = Preprocess::imagenet().apply(&file);
        file.truncate(at);
        let _ = Preprocess::imagenet().apply(&file);
    }
}
