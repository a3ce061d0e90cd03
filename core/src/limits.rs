//! What ids and maps may look like: one place for every check of a name (`docs/DESIGN.md`, limits).

use std::collections::HashMap;

use crate::error::InvalidInput;

/// The longest login id and account name, in bytes.
pub const MAX_LOGIN_ID: usize = 128;
/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 4096;
/// The longest device label, in bytes.
pub const MAX_DEVICE: usize = 64;
/// The longest name of a channel, in bytes.
pub const MAX_CHANNEL: usize = 255;
/// The most keys of a metadata map.
pub const MAX_METADATA_KEYS: usize = 16;
/// The most bytes of a metadata map, keys and values together, and of a user's public data.
pub const MAX_METADATA_BYTES: usize = 4096;

/// A name must be there, be short, and be shown as it is written.
pub(crate) fn check_name(field: &'static str, text: &str, limit: usize) -> Result<(), InvalidInput> {
    if text.is_empty() {
        return Err(InvalidInput::Empty { field });
    }
    check_label(field, text, limit)
}

/// A label may be empty; otherwise the rules of a name.
pub(crate) fn check_label(field: &'static str, text: &str, limit: usize) -> Result<(), InvalidInput> {
    if text.len() > limit {
        return Err(InvalidInput::TooLong { field, size: text.len(), limit });
    }
    // What is plain ASCII, as nearly all names and labels are, needs no look at each character.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(is_deceptive) {
        return Err(InvalidInput::Control { field });
    }
    Ok(())
}

pub(crate) fn check_user(user: &crate::UserKey) -> Result<(), InvalidInput> {
    if let Some(account) = user.account() {
        check_name("account", account, MAX_LOGIN_ID)?;
    }
    check_name("login_id", user.login_id(), MAX_LOGIN_ID)
}

pub(crate) fn check_metadata(metadata: &HashMap<String, String>) -> Result<(), InvalidInput> {
    let (field, count) = ("metadata", metadata.len());
    if count > MAX_METADATA_KEYS {
        return Err(InvalidInput::TooMany { field, count, limit: MAX_METADATA_KEYS });
    }
    let size = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_METADATA_BYTES {
        return Err(InvalidInput::TooLong { field, size, limit: MAX_METADATA_BYTES });
    }
    Ok(())
}

/// Control characters, and those that turn the direction of the text around them (Unicode TR 9, 2.1–2.4).
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_control_or_bidi_characters_are_refused() {
        for bad in ["a\0b", "a\nb", "\u{1b}[2J", "x\u{202e}y", "x\u{2066}y"] {
            assert_eq!(
                check_name("login_id", bad, 128),
                Err(InvalidInput::Control { field: "login_id" }),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn names_of_any_script_and_either_normal_form_pass() {
        for good in ["小明", "user@example.com", "e\u{301}", "\u{e9}", "مريم", "a:b/c{d}"] {
            assert_eq!(check_name("login_id", good, 128), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn the_limit_counts_bytes() {
        assert!(check_name("login_id", &"é".repeat(64), 128).is_ok());
        assert!(check_name("login_id", &"é".repeat(65), 128).is_err());
        assert!(check_name("login_id", "", 128).is_err());
    }
}
