//! RFC 6455 by the sections of Autobahn's list, and what a hostile peer may try.

use proptest::prelude::*;

use super::*;
use crate::connection::codec::encode;

const LIMIT: usize = 1 << 20;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// One frame as a client writes it, of any first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ ..=125 => bytes.push(0x80 | len as u8),
        len @ ..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xFF);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

const FIN: u8 = 0x80;
const TEXT: u8 = FIN | 1;
const BINARY: u8 = FIN | 2;

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | 8, &[&code.to_be_bytes(), reason].concat())
}

/// Decodes `bytes` in pieces of `size`, up to the first violation.
fn decode_in(decoder: &mut Decoder, bytes: &[u8], size: usize) -> Result<Vec<Decoded<'static>>, Violation> {
    let mut all = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let mut input = &mut piece[..];
        while let Some(decoded) = decoder.next(&mut input) {
            all.push(owned(decoded?));
        }
        assert!(input.is_empty(), "all input is used");
    }
    Ok(all)
}

fn owned(decoded: Decoded<'_>) -> Decoded<'static> {
    match decoded {
        Decoded::Text(text) => Decoded::Text(Cow::Owned(text.into_owned())),
        Decoded::Binary(bytes) => Decoded::Binary(Cow::Owned(bytes.into_owned())),
        Decoded::Ping(bytes) => Decoded::Ping(Cow::Owned(bytes.into_owned())),
        Decoded::Close { code, reason } => Decoded::Close { code, reason: Cow::Owned(reason.into_owned()) },
        Decoded::Fragment { empty } => Decoded::Fragment { empty },
        Decoded::Pong => Decoded::Pong,
    }
}

/// Decodes at once and byte by byte, and insists that both agree.
fn decode(bytes: &[u8]) -> Result<Vec<Decoded<'static>>, Violation> {
    let at_once = decode_in(&mut Decoder::new(LIMIT, LIMIT), bytes, bytes.len().max(1));
    assert_eq!(at_once, decode_in(&mut Decoder::new(LIMIT, LIMIT), bytes, 1));
    at_once
}

fn text(text: &str) -> Decoded<'static> {
    Decoded::Text(Cow::Owned(text.to_owned()))
}

fn binary(bytes: &[u8]) -> Decoded<'static> {
    Decoded::Binary(Cow::Owned(bytes.to_vec()))
}

fn ping(bytes: &[u8]) -> Decoded<'static> {
    Decoded::Ping(Cow::Owned(bytes.to_vec()))
}

const FRAGMENT: Decoded<'static> = Decoded::Fragment { empty: false };
const EMPTY: Decoded<'static> = Decoded::Fragment { empty: true };

#[test]
fn section_1_every_length_of_framing() {
    for len in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537] {
        let payload = vec![b'*'; len];
        assert_eq!(decode(&frame(BINARY, &payload)), Ok(vec![binary(&payload)]), "{len}");
        assert_eq!(decode(&frame(TEXT, &payload)), Ok(vec![text(&"*".repeat(len))]), "{len}");
    }
}

#[test]
fn section_2_pings_and_pongs() {
    assert_eq!(decode(&frame(FIN | 9, b"")), Ok(vec![ping(b"")]));
    assert_eq!(decode(&frame(FIN | 9, b"\0\xFF\xFE")), Ok(vec![ping(b"\0\xFF\xFE")]));
    assert_eq!(decode(&frame(FIN | 9, &[7; 125])), Ok(vec![ping(&[7; 125])]));
    assert_eq!(decode(&frame(FIN | 9, &[7; 126])), Err(Violation::BadControl));
    assert_eq!(decode(&frame(FIN | 10, b"unasked")), Ok(vec![Decoded::Pong]));
    let two = [frame(FIN | 10, b"x"), frame(FIN | 9, b"y")].concat();
    assert_eq!(decode(&two), Ok(vec![Decoded::Pong, ping(b"y")]));
}

#[test]
fn section_3_reserved_bits() {
    for bits in 1..8 {
        for op in [1, 2, 8, 9, 10] {
            assert_eq!(decode(&frame(FIN | bits << 4 | op, b"x")), Err(Violation::ReservedBits));
        }
    }
}

#[test]
fn section_4_reserved_opcodes() {
    for op in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(decode(&frame(FIN | op, b"")), Err(Violation::UnknownOpCode), "{op}");
    }
}

#[test]
fn section_5_control_frames_are_never_fragmented() {
    for op in [8, 9, 10] {
        assert_eq!(decode(&frame(op, b"x")), Err(Violation::BadControl), "{op}");
    }
}

#[test]
fn section_5_fragments_make_one_message() {
    let bytes = [frame(1, b"frag"), frame(0, b""), frame(0, b"men"), frame(FIN, b"ted")].concat();
    assert_eq!(decode(&bytes), Ok(vec![FRAGMENT, EMPTY, FRAGMENT, text("fragmented")]));
    let bytes = [frame(2, b"\xFF"), frame(FIN, b"")].concat();
    assert_eq!(decode(&bytes), Ok(vec![FRAGMENT, binary(b"\xFF")]));
}

#[test]
fn section_5_a_ping_between_fragments_comes_through() {
    let bytes = [frame(1, b"a"), frame(FIN | 9, b"p"), frame(FIN, b"b"), frame(TEXT, b"c")].concat();
    assert_eq!(decode(&bytes), Ok(vec![FRAGMENT, ping(b"p"), text("ab"), text("c")]));
}

#[test]
fn section_5_fragments_out_of_order_are_refused() {
    for first in [0, FIN] {
        assert_eq!(decode(&frame(first, b"x")), Err(Violation::NothingToContinue));
    }
    for second in [1, 2, TEXT, BINARY] {
        let bytes = [frame(1, b"a"), frame(second, b"b")].concat();
        assert_eq!(decode(&bytes), Err(Violation::Interleaved));
    }
    let bytes = [frame(TEXT, b"a"), frame(FIN, b"b")].concat();
    assert_eq!(decode(&bytes), Err(Violation::NothingToContinue));
}

#[test]
fn section_6_text_is_utf8_across_fragments_inside_a_character() {
    let whole = "κόσμε 🦀";
    for cut in 0..=whole.len() {
        let (a, b) = whole.as_bytes().split_at(cut);
        let decoded = decode(&[frame(1, a), frame(FIN, b)].concat());
        assert_eq!(decoded.map(|all| all[1].clone()), Ok(text(whole)), "{cut}");
    }
}

#[test]
fn section_6_what_is_not_utf8_is_refused() {
    for bad in [
        &b"\x80"[..],
        b"\xC0\xAF",
        b"\xE0\x80\xAF",
        b"\xED\xA0\x80",
        b"\xED\xBF\xBF",
        b"\xF4\x90\x80\x80",
        b"\xF8\x88\x80\x80\x80",
        b"\xFE",
        b"\xCE\xBA\xE1",
        b"\xF0\x9F\xA6",
    ] {
        assert_eq!(decode(&frame(TEXT, bad)), Err(Violation::NotUtf8), "{bad:?}");
        let split = [frame(1, bad), frame(FIN, b"")].concat();
        assert_eq!(decode(&split), Err(Violation::NotUtf8), "{bad:?}");
        assert!(decode(&frame(BINARY, bad)).is_ok());
    }
}

#[test]
fn section_6_bad_text_is_refused_before_its_frame_is_whole() {
    let mut decoder = Decoder::new(LIMIT, LIMIT);
    let bytes = frame(TEXT, b"\xCE\xBA\xF4\x90 and much more");
    assert_eq!(decode_in(&mut decoder, &bytes[..9], 9), Ok(vec![]));
    assert_eq!(decode_in(&mut decoder, &bytes[9..10], 1), Err(Violation::NotUtf8));
}

#[test]
fn section_7_close_frames() {
    let empty = Decoded::Close { code: None, reason: Cow::Borrowed("") };
    assert_eq!(decode(&frame(FIN | 8, b"")), Ok(vec![empty]));
    assert_eq!(decode(&frame(FIN | 8, b"\x03")), Err(Violation::BadClose));
    assert_eq!(decode(&close(1000, &[b'x'; 124])), Err(Violation::BadControl));
    assert_eq!(decode(&close(1000, b"\xCE\xBA\xED\xA0\x80")), Err(Violation::NotUtf8));
    let reason = "é".repeat(61);
    let long = Decoded::Close { code: Some(1001), reason: Cow::Owned(reason.clone()) };
    assert_eq!(decode(&close(1001, reason.as_bytes())), Ok(vec![long]));
}

#[test]
fn section_7_close_codes() {
    let good =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    for code in good {
        assert!(decode(&close(code, b"")).is_ok(), "{code}");
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        assert_eq!(decode(&close(code, b"")), Err(Violation::BadClose), "{code}");
    }
}

#[test]
fn a_frame_without_a_mask_is_refused() {
    for op in [OpCode::Text, OpCode::Binary, OpCode::Close, OpCode::Ping, OpCode::Pong] {
        assert_eq!(decode(&encode(op, b"")), Err(Violation::Unmasked));
    }
}

#[test]
fn a_length_in_a_longer_form_than_it_needs_is_refused() {
    for head in [
        &b"\x82\xFE\x00\x7D"[..],
        b"\x82\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF",
        b"\x82\xFF\x80\x00\x00\x00\x00\x00\x00\x00",
    ] {
        assert_eq!(decode(&[head, &MASK].concat()), Err(Violation::BadLength), "{head:?}");
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_header() {
    let mut decoder = Decoder::new(1000, 1500);
    let head = [b"\x82\xFF\x00\x00\x00\x00\x40\x00\x00\x00", &MASK[..]].concat();
    assert_eq!(decode_in(&mut decoder, &head, 14), Err(Violation::TooLarge));
    assert!(decode_in(&mut Decoder::new(1000, 1500), &frame(BINARY, &[0; 1000]), 4096).is_ok());
    let over = decode_in(&mut Decoder::new(1000, 1500), &frame(BINARY, &[0; 1001])[..8], 8);
    assert_eq!(over, Err(Violation::TooLarge));
}

#[test]
fn fragments_over_the_limit_together_are_refused_at_the_header_of_the_last() {
    let mut decoder = Decoder::new(1000, 1500);
    assert_eq!(decode_in(&mut decoder, &frame(2, &[0; 1000]), 4096), Ok(vec![FRAGMENT]));
    assert_eq!(decode_in(&mut decoder, &frame(0, &[0; 500]), 4096), Ok(vec![FRAGMENT]));
    assert_eq!(decode_in(&mut decoder, &frame(0, &[0; 1])[..6], 6), Err(Violation::TooLarge));
}

#[test]
fn memory_follows_what_came_not_what_was_declared() {
    let mut decoder = Decoder::new(1 << 30, 1 << 30);
    let head = [b"\x82\xFF\x00\x00\x00\x00\x40\x00\x00\x00", &MASK[..], &[0; 100]].concat();
    assert_eq!(decode_in(&mut decoder, &head, 4096), Ok(vec![]));
    assert!(decoder.message.unwrap().bytes.capacity() < 1000);
}

#[test]
fn empty_fragments_cost_no_memory() {
    let mut decoder = Decoder::new(LIMIT, LIMIT);
    let bytes = [frame(2, b""), frame(0, b"").repeat(10_000)].concat();
    assert_eq!(decode_in(&mut decoder, &bytes, 4096).map(|all| all.len()), Ok(10_001));
    assert_eq!(decoder.message.unwrap().bytes.capacity(), 0);
}

#[test]
fn between_messages_a_decoder_holds_nothing() {
    let mut decoder = Decoder::new(LIMIT, LIMIT);
    let bytes = [frame(1, b"a"), frame(FIN | 9, &[1; 100]), frame(FIN, b"b")].concat();
    decode_in(&mut decoder, &bytes, 7).unwrap();
    assert!(!decoder.is_mid_message());
    assert!(decoder.frame.is_none());
    assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
}

#[test]
fn a_whole_frame_is_borrowed_from_the_buffer() {
    let mut bytes = frame(TEXT, b"hello");
    let mut input = &mut bytes[..];
    let decoded = Decoder::new(LIMIT, LIMIT).next(&mut input);
    assert!(matches!(decoded, Some(Ok(Decoded::Text(Cow::Borrowed("hello"))))));
}

/// A message or control frame, as its frames and as what is to come of them.
fn any_unit() -> impl Strategy<Value = (Vec<u8>, Vec<Decoded<'static>>)> {
    let message = (any::<bool>(), prop::collection::vec("\\PC{0,60}", 1..4), any::<bool>());
    let message = message.prop_map(|(is_text, parts, interrupt)| {
        let op = if is_text { 1 } else { 2 };
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            let first = if index == 0 { op } else { 0 } | if last { FIN } else { 0 };
            bytes.extend(frame(first, part.as_bytes()));
            if !last {
                expected.push(Decoded::Fragment { empty: part.is_empty() });
                if interrupt {
                    bytes.extend(frame(FIN | 9, b"between"));
                    expected.push(ping(b"between"));
                }
            }
        }
        let whole = parts.concat();
        expected.push(if is_text { text(&whole) } else { binary(whole.as_bytes()) });
        (bytes, expected)
    });
    let control = prop::collection::vec(any::<u8>(), 0..=125);
    let control = control.prop_map(|payload| (frame(FIN | 9, &payload), vec![ping(&payload)]));
    prop_oneof![3 => message, 1 => control]
}

proptest! {
    #[test]
    fn any_chunking_of_any_frames_decodes_to_the_same(
        units in prop::collection::vec(any_unit(), 0..6),
        size in 1usize..80,
    ) {
        let (bytes, expected): (Vec<_>, Vec<_>) = units.into_iter().unzip();
        let decoded = decode_in(&mut Decoder::new(LIMIT, LIMIT), &bytes.concat(), size);
        prop_assert_eq!(decoded, Ok(expected.concat()));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1usize..50) {
        let _ = decode_in(&mut Decoder::new(200, 300), &bytes, size);
    }

    #[test]
    fn almost_valid_bytes_never_panic(
        heads in prop::collection::vec((any::<u8>(), any::<bool>(), 0u8..128), 0..40),
        size in 1usize..50,
    ) {
        let bytes: Vec<u8> = heads
            .iter()
            .flat_map(|(first, plain, len)| {
                let mut bytes = vec![if *plain { first & 0x8B } else { *first }, 0x80 | len, 1, 2, 3, 4];
                bytes.extend(std::iter::repeat_n(b'x', usize::from(*len)));
                bytes
            })
            .collect();
        let _ = decode_in(&mut Decoder::new(200, 300), &bytes, size);
    }
}
