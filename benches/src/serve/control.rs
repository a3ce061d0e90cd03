//! What the runner tells a server: one line each on its standard input. The server answers each with `done`.

use std::str::FromStr;

/// A line of the runner's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// `all <count> <size>`: so many messages of so many bytes to every connection, back to back.
    All { count: usize, size: usize },
    /// `users <count> <size>`: so many pushes, each to one user, who have their turn: `u0`, `u1` and so on, then `u0` again.
    Users { count: usize, size: usize },
    /// `channel <count> <size>`: as `all`, to the channel `room`. Ours only.
    Channel { count: usize, size: usize },
    /// `kick <count>`: the users `u0` to `u<count - 1>` are kicked out, one call each. Ours only.
    Kick { count: usize },
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("not an order: {line:?}");
        let mut words = line.split_whitespace();
        let order = words.next().ok_or_else(wrong)?;
        let numbers: Vec<usize> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match (order, numbers[..].as_ref()) {
            ("all", &[count, size]) => Ok(Self::All { count, size }),
            ("users", &[count, size]) => Ok(Self::Users { count, size }),
            ("channel", &[count, size]) => Ok(Self::Channel { count, size }),
            ("kick", &[count]) => Ok(Self::Kick { count }),
            _ => Err(wrong()),
        }
    }
}

/// How every message begins: the load generator counts deliveries by it.
pub(crate) const MARK: &str = "{\"bench\":\"";

/// A message of `size` bytes: JSON, so that every peer can pass it on as what it is. A shorter one than the mark and its
/// end is as long as these.
pub(crate) fn payload(size: usize) -> String {
    let pad = size.saturating_sub(MARK.len() + 2);
    format!("{MARK}{}\"}}", "x".repeat(pad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_as_long_as_asked() {
        assert_eq!(payload(64).len(), 64);
        assert_eq!(payload(1024).len(), 1024);
        assert!(serde_json::from_str::<serde_json::Value>(&payload(64)).is_ok());
    }

    #[test]
    fn an_order_is_read_and_another_line_refused() {
        assert_eq!("all 20 64".parse(), Ok(Order::All { count: 20, size: 64 }));
        assert_eq!("kick 5".parse(), Ok(Order::Kick { count: 5 }));
        assert!("all 20".parse::<Order>().is_err());
        assert!("dance".parse::<Order>().is_err());
    }
}
