//! What is UTF-8 and what is not, made from the two tables of the Unicode standard: how bits are laid out (3-6), and
//! which bytes may follow each other (3-7).

use std::ops::RangeInclusive;

/// The bits of a number in so many bytes, one to six: the scheme from which UTF-8 takes what is shortest, no surrogate,
/// and not beyond U+10FFFF.
pub(super) fn laid_out(number: u32, len: usize) -> Vec<u8> {
    if len == 1 {
        return vec![number as u8];
    }
    let tails = (0..len - 1).rev().map(|n| 0x80 | (number >> (6 * n) & 0x3f) as u8);
    let lead = (0xff00u16 >> len) as u8 | (number >> (6 * (len - 1))) as u8;
    [lead].into_iter().chain(tails).collect()
}

/// The largest number that fits into so many bytes.
fn largest(len: usize) -> u32 {
    if len == 1 { 0x7f } else { (1u32 << (5 * len + 1)) - 1 }
}

/// The byte with which these stop being the beginning of any text; `None` where more could still make them one.
pub(super) fn dies_at(bytes: &[u8]) -> Option<usize> {
    let mut wanted: &[RangeInclusive<u8>] = &[];
    for (at, byte) in bytes.iter().enumerate() {
        match wanted {
            [next, rest @ ..] if next.contains(byte) => wanted = rest,
            [] => match followers(*byte) {
                Some(followers) => wanted = followers,
                None => return Some(at),
            },
            _ => return Some(at),
        }
    }
    None
}

const TAIL: RangeInclusive<u8> = 0x80..=0xbf;

/// What must follow a first byte; `None` for what is no first byte.
fn followers(first: u8) -> Option<&'static [RangeInclusive<u8>]> {
    Some(match first {
        0..=0x7f => &[],
        0xc2..=0xdf => &[TAIL],
        0xe0 => &[0xa0..=0xbf, TAIL],
        0xed => &[0x80..=0x9f, TAIL],
        0xe1..=0xef => &[TAIL, TAIL],
        0xf0 => &[0x90..=0xbf, TAIL, TAIL],
        0xf1..=0xf3 => &[TAIL, TAIL, TAIL],
        0xf4 => &[0x80..=0x8f, TAIL, TAIL],
        _ => return None,
    })
}

/// 6.5, 6.7, 6.9, 6.11, 6.22, 6.23: code points at the edges of every range, and those that are no characters.
pub(super) fn valid() -> Vec<String> {
    let edges = (1..=4)
        .flat_map(|len| [if len == 1 { 0 } else { largest(len - 1) + 1 }, largest(len).min(0x10_ffff)]);
    let planes = (0..=16).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let no_characters = (0xfdd0..=0xfdef).chain(planes);
    let others = [0x24, 0xa2, 0x20ac, 0x2_4b62, 0xd7ff, 0xe000].into_iter().chain(0xfff9..=0xffff);
    let all = edges.chain(no_characters).chain(others);
    let chars = all.map(|code| char::from_u32(code).expect("no surrogate is among them"));
    chars.flat_map(|char| [char.to_string(), format!("<{char}>")]).collect()
}

/// What is no text, by its kind.
pub(super) fn invalid() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("6.8, 6.10, 6.11: a number beyond U+10FFFF", beyond()),
        ("6.12: a byte that continues nothing", stray_tails()),
        ("6.13: a first byte that nothing follows", (0xc0..=0xfd).map(|lead| vec![lead, b' ']).collect()),
        ("6.14: without its last byte", cut_short()),
        ("6.15: one after the other without their last bytes", vec![cut_short().concat()]),
        ("6.16: a byte that never is", vec![vec![0xfe], vec![0xff], vec![0xfe, 0xfe, 0xff, 0xff]]),
        ("6.17: a slash in too many bytes", (2..=6).map(|len| laid_out(0x2f, len)).collect()),
        (
            "6.18: the largest number in one byte too many",
            (2..=6).map(|len| laid_out(largest(len - 1), len)).collect(),
        ),
        ("6.19: NUL in too many bytes", (2..=6).map(|len| laid_out(0, len)).collect()),
        ("6.20: a surrogate", SURROGATES.concat().iter().map(|half| laid_out(*half, 3)).collect()),
        ("6.21: two surrogates", pairs()),
    ]
}

/// The first and the last of each kind, high and low.
const SURROGATES: [&[u32]; 2] = [&[0xd800, 0xdb7f, 0xdb80, 0xdbff], &[0xdc00, 0xdf80, 0xdfff]];

fn beyond() -> Vec<Vec<u8>> {
    let edges = [4, 5].into_iter().flat_map(|len| [(largest(len), len), (largest(len) + 1, len + 1)]);
    let all = edges.chain([(0x11_0000, 4), (largest(6), 6)]);
    all.map(|(number, len)| laid_out(number, len)).collect()
}

fn stray_tails() -> Vec<Vec<u8>> {
    let alternating = (1..=7).map(|len| [0x80, 0xbf].into_iter().cycle().take(len).collect());
    alternating.chain([vec![0xbf], TAIL.collect()]).collect()
}

fn cut_short() -> Vec<Vec<u8>> {
    let first_and_last = (2..=6).flat_map(|len| [laid_out(0, len), laid_out(largest(len), len)]);
    first_and_last.map(|mut bytes| bytes.drain(..bytes.len() - 1).collect()).collect()
}

fn pairs() -> Vec<Vec<u8>> {
    let [high, low] = SURROGATES;
    let both = high.iter().flat_map(|high| low.iter().map(move |low| (*high, *low)));
    both.map(|(high, low)| [laid_out(high, 3), laid_out(low, 3)].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_agree_with_the_standard_library() {
        for code in (0..=0x10_ffff).filter_map(char::from_u32) {
            assert_eq!(laid_out(code.into(), code.len_utf8()), code.to_string().into_bytes());
        }
        for (kind, all) in invalid() {
            for bytes in all {
                let error = std::str::from_utf8(&bytes).expect_err(kind);
                assert_eq!(dies_at(&bytes).is_none(), error.error_len().is_none(), "{kind} {bytes:x?}");
                let alive = dies_at(&bytes).unwrap_or(bytes.len());
                assert!(std::str::from_utf8(&bytes[..alive]).err().is_none_or(|e| e.error_len().is_none()));
            }
        }
    }
}
