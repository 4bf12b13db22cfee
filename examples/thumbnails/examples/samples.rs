//! Draws the pictures in `samples/`: `cargo run --example samples`. They are the project's own, and the same on every run.

use std::fs::{self, File};
use std::io::{self, BufWriter};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all("samples")?;
    let picture = DynamicImage::from(RgbImage::from_fn(WIDTH, HEIGHT, paint));
    picture.write_to(&mut create("picture.png")?, ImageFormat::Png)?;
    picture.write_to(&mut create("picture.webp")?, ImageFormat::WebP)?;
    picture.write_with_encoder(JpegEncoder::new_with_quality(create("picture.jpg")?, 80))?;
    Ok(())
}

fn create(name: &str) -> io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(format!("samples/{name}"))?))
}

/// A sun over hills.
fn paint(x: u32, y: u32) -> Rgb<u8> {
    let (x, y) = (f64::from(x), f64::from(y));
    let near = 150.0 + 18.0 * (x / 41.0).sin();
    let far = 118.0 + 26.0 * (x / 67.0 + 1.7).sin();
    if y > near {
        return Rgb([38, 92, 66]);
    }
    if y > far {
        return Rgb([74, 134, 102]);
    }
    if (x - 236.0).hypot(y - 58.0) < 30.0 {
        return Rgb([252, 214, 110]);
    }
    // Bands instead of a smooth sky keep the files small.
    let band = [[92, 148, 206], [126, 172, 218], [166, 198, 228], [208, 222, 232]];
    Rgb(band[((y / 34.0) as usize).min(3)])
}
