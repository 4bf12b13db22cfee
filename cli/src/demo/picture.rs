//! Width and height of a picture, read from its header: enough to see that a thumbnail is one.

/// Width and height in pixels of a PNG, JPEG or WebP. None: it is none of them, or cut short.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    png(bytes).or_else(|| jpeg(bytes)).or_else(|| webp(bytes))
}

/// The first chunk, IHDR, begins with both numbers.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(..8)? != b"\x89PNG\r\n\x1a\n" || bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    Some((big(bytes.get(16..20)?), big(bytes.get(20..24)?)))
}

/// The segments are walked up to the frame header, SOF, of whatever kind.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(..2)? != b"\xff\xd8" {
        return None;
    }
    let mut at = 2;
    loop {
        let head = bytes.get(at..at + 4)?;
        if head[0] != 0xff {
            return None;
        }
        // C4, C8 and CC lie in the range of frame headers and are none.
        if matches!(head[1], 0xc0..=0xcf) && !matches!(head[1], 0xc4 | 0xc8 | 0xcc) {
            let frame = bytes.get(at + 5..at + 9)?;
            return Some((big(&frame[2..]), big(&frame[..2])));
        }
        at += 2 + usize::try_from(big(&head[2..])).ok()?;
    }
}

/// The three kinds of WebP: lossy, lossless, extended.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    match bytes.get(12..16)? {
        b"VP8 " => Some((little(bytes.get(26..28)?) & 0x3fff, little(bytes.get(28..30)?) & 0x3fff)),
        b"VP8L" => {
            let bits = little(bytes.get(21..25)?);
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => Some((little(bytes.get(24..27)?) + 1, little(bytes.get(27..30)?) + 1)),
        _ => None,
    }
}

fn big(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_each_kind_of_header() {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0, 0, 0, 13], b"IHDR", &[0, 0, 1, 64, 0, 0, 0, 200]].concat();
        let app = [0xff, 0xe0, 0, 4, 1, 2];
        let frame = [0xff, 0xc2, 0, 11, 8, 0, 200, 1, 64, 3];
        let jpeg = [b"\xff\xd8".as_slice(), &app, &frame].concat();
        let lossy = [b"RIFF....WEBPVP8 ....".as_slice(), &[0; 6], &[64, 1, 200, 0]].concat();
        let bits: u32 = 319 | (199 << 14);
        let lossless = [b"RIFF....WEBPVP8L....\x2f".as_slice(), &bits.to_le_bytes()].concat();
        let extended = [b"RIFF....WEBPVP8X....".as_slice(), &[0; 4], &[63, 1, 0, 199, 0, 0]].concat();
        for picture in [png, jpeg, lossy, lossless, extended] {
            assert_eq!(size(&picture), Some((320, 200)));
            assert_eq!(size(&picture[..10]), None);
        }
        assert_eq!(size(b"<html>"), None);
    }
}
