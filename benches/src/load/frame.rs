//! As little of RFC 6455 as a client needs that trusts its server: whole frames out of a buffer, and small masked ones back.

pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Any will do: the server is not what a mask protects against.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

/// One frame of a server's.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: u8,
    pub(super) payload: &'a [u8],
    /// With its header.
    pub(super) size: usize,
}

/// The frame at the begin of `bytes`; none when its end has not come yet.
pub(super) fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, String> {
    let [head, short, rest @ ..] = bytes else { return Ok(None) };
    if short & 0x80 != 0 {
        return Err("the server masked a frame".into());
    }
    if head & 0x70 != 0 {
        return Err("the server set a reserved bit: no extension was agreed upon".into());
    }
    let (long, length) = match *short {
        126 => (2, rest.first_chunk().map(|length| u64::from(u16::from_be_bytes(*length)))),
        127 => (8, rest.first_chunk().map(|length| u64::from_be_bytes(*length))),
        length => (0, Some(u64::from(length))),
    };
    let Some(length) = length else { return Ok(None) };
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let end = length.checked_add(long).ok_or("the server announced a frame that no memory holds")?;
    let Some(payload) = rest.get(long..end) else { return Ok(None) };
    Ok(Some(Frame { opcode: head & 0x0f, payload, size: 2 + end }))
}

/// A masked frame of a client's.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x80 | opcode);
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(length: &[u8], payload: &[u8]) -> Vec<u8> {
        [&[0x81], length, payload].concat()
    }

    #[test]
    fn each_kind_of_length_is_read() {
        for (length, size) in
            [(vec![5], 5), (vec![126, 1, 0], 256), (vec![127, 0, 0, 0, 0, 0, 1, 0, 0], 65_536), (vec![0], 0)]
        {
            let bytes = server(&length, &vec![b'x'; size]);
            let frame = first(&bytes).unwrap().unwrap();
            assert_eq!((frame.opcode, frame.payload.len(), frame.size), (TEXT, size, bytes.len()));
        }
    }

    #[test]
    fn a_frame_whose_end_is_missing_waits_wherever_it_is_cut() {
        for bytes in
            [server(&[126, 0, 200], &[b'x'; 200]), server(&[127, 0, 0, 0, 0, 0, 0, 0, 9], &[b'x'; 9])]
        {
            for cut in 0..bytes.len() {
                assert_eq!(first(&bytes[..cut]), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn what_no_server_may_send_is_an_error() {
        assert!(first(&[0x81, 0x81, 0, 0, 0, 0, 0]).is_err());
        assert!(first(&[0xc1, 0x01, 0]).is_err());
    }

    #[test]
    fn a_masked_frame_can_be_unmasked() {
        for size in [0, 5, 125, 126, 65_536] {
            let payload = vec![b'y'; size];
            let frame = masked(TEXT, &payload);
            let text = &frame[frame.len() - size..];
            let back: Vec<u8> =
                text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(back, payload);
            assert_eq!(frame[1] & 0x80, 0x80);
        }
    }
}
