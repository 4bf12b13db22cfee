//! From a picture to a smaller one. Knows neither HTTP nor Tollgate.

use std::fmt;
use std::io::Cursor;
use std::ops::RangeInclusive;

use image::codecs::jpeg::JpegEncoder;
use image::error::{ImageError, LimitErrorKind};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Widths that can be asked for, in pixels.
pub const WIDTHS: RangeInclusive<u32> = 1..=4096;

const SIDE_MAX: u32 = 16_384;
/// A third of the guest's memory (`memory_mib` of the manifest): the scaled copy and the encoder's may each be as large.
const DECODED_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What the encoders' tables find room for beside the picture.
const THUMBNAIL_PIXELS_MAX: u64 = 4096 * 4096;
const JPEG_QUALITY: u8 = 85;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Jpeg,
    Png,
    Webp,
}

impl Format {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "jpeg" | "jpg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}

#[derive(Debug)]
pub struct Thumbnail {
    pub bytes: Vec<u8>,
    pub format: Format,
    /// Pixels of the picture that came in: what the work is measured by.
    pub pixels: u64,
}

#[derive(Debug)]
pub enum Problem {
    UnknownFormat,
    TooLarge,
    Damaged(ImageError),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFormat => f.write_str("not a JPEG, PNG or WebP"),
            Self::TooLarge => f.write_str("the picture or its thumbnail is too large"),
            Self::Damaged(error) => write!(f, "the picture cannot be read: {error}"),
        }
    }
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(limits) if !matches!(limits.kind(), LimitErrorKind::Unsupported { .. }) => {
                Self::TooLarge
            }
            other => Self::Damaged(other),
        }
    }
}

/// A picture of this width, in the same format unless another is asked for, upright, with the proportions kept. A picture that is not
/// wider keeps its size.
pub fn thumbnail(bytes: &[u8], width: u32, format: Option<Format>) -> Result<Thumbnail, Problem> {
    let source = match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Format::Jpeg,
        Ok(ImageFormat::Png) => Format::Png,
        Ok(ImageFormat::WebP) => Format::Webp,
        _ => return Err(Problem::UnknownFormat),
    };
    let picture = decode(bytes)?;
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    let format = format.unwrap_or(source);
    let small = scale(picture, width);
    if u64::from(small.width()) * u64::from(small.height()) > THUMBNAIL_PIXELS_MAX {
        return Err(Problem::TooLarge);
    }
    Ok(Thumbnail { bytes: encode(&small, format)?, format, pixels })
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, Problem> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.with_guessed_format().map_err(ImageError::IoError)?.into_decoder()?;
    if decoder.total_bytes() > DECODED_BYTES_MAX {
        return Err(Problem::TooLarge);
    }
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn scale(picture: DynamicImage, width: u32) -> DynamicImage {
    if picture.width() <= width {
        return picture;
    }
    let height = u64::from(picture.height()) * u64::from(width) / u64::from(picture.width());
    let height = u32::try_from(height).unwrap_or(u32::MAX).max(1);
    // Averages in place. The sharper filters of `resize_exact` hold rows of floats, more than the guest's memory for a tall picture.
    picture.thumbnail_exact(width, height)
}

fn encode(picture: &DynamicImage, format: Format) -> Result<Vec<u8>, Problem> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        Format::Jpeg => {
            picture.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
        }
        Format::Png => picture.write_to(&mut bytes, ImageFormat::Png)?,
        // The encoder takes eight bits a channel only.
        Format::Webp => DynamicImage::from(picture.to_rgba8()).write_to(&mut bytes, ImageFormat::WebP)?,
    }
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbnail_keeps_proportions_and_format() {
        check("picture.png", 120, None, "120x75 image/png of 64000 pixels");
        check("picture.jpg", 120, None, "120x75 image/jpeg of 64000 pixels");
        check("picture.webp", 120, None, "120x75 image/webp of 64000 pixels");
    }

    #[test]
    fn another_format_can_be_asked_for() {
        check("picture.png", 64, Some(Format::Webp), "64x40 image/webp of 64000 pixels");
        check("picture.webp", 64, Some(Format::Jpeg), "64x40 image/jpeg of 64000 pixels");
        check("picture.jpg", 64, Some(Format::Png), "64x40 image/png of 64000 pixels");
    }

    #[test]
    fn a_small_picture_is_not_enlarged() {
        check("picture.png", 4096, None, "320x200 image/png of 64000 pixels");
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(matches!(thumbnail(b"hello", 10, None), Err(Problem::UnknownFormat)));
        let whole = sample("picture.png");
        assert!(matches!(thumbnail(&whole[..whole.len() / 2], 10, None), Err(Problem::Damaged(_))));
    }

    fn check(file: &str, width: u32, format: Option<Format>, expected: &str) {
        let small = thumbnail(&sample(file), width, format).expect("a good picture");
        let picture = image::load_from_memory(&small.bytes).expect("a good thumbnail");
        let said = format!(
            "{}x{} {} of {} pixels",
            picture.width(),
            picture.height(),
            small.format.media_type(),
            small.pixels
        );
        assert_eq!(said, expected, "{file}");
    }

    fn sample(file: &str) -> Vec<u8> {
        std::fs::read(std::path::Path::new("samples").join(file)).expect("the sample is committed")
    }
}
