//! Resume tokens: the name of a connection with a proof that this node gave it out. Nothing is stored for them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::connection::ConnectionId;

type Proof = Hmac<Sha256>;

/// Bytes of the proof: 128 bits.
const PROOF: usize = 16;
/// Characters of a connection's id.
const ID: usize = 24;

/// The node's key, made anew with each start.
pub(crate) struct Secret(Option<Proof>);

/// What a client says when it comes back.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The secret of the connection it had; never logged.
    pub(crate) token: crate::auth::Token,
    /// How many of its pushes the client has.
    pub(crate) seq: u64,
}

impl Asked {
    /// The connection it names, genuine or not.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.token.expose().split_at_checked(ID)?.0.parse().ok()
    }
}

impl Secret {
    /// Without randomness there is no secret, and nobody resumes.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        let random = getrandom::fill(&mut key).is_ok();
        Self(random.then(|| Proof::new_from_slice(&key).ok()).flatten())
    }

    fn proof(&self, id: ConnectionId) -> Option<Proof> {
        let mut proof = self.0.clone()?;
        proof.update(id.to_string().as_bytes());
        Some(proof)
    }

    /// The token that resumes a connection.
    pub(crate) fn token(&self, id: ConnectionId) -> Option<String> {
        let proof = self.proof(id)?.finalize().into_bytes();
        Some(format!("{id}{}", BASE64_URL_SAFE_NO_PAD.encode(&proof[..PROOF])))
    }

    /// The connection a token resumes, where it is genuine; compared in constant time.
    pub(crate) fn connection(&self, token: &str) -> Option<ConnectionId> {
        let (id, proof) = token.split_at_checked(ID)?;
        let id: ConnectionId = id.parse().ok()?;
        let proof = BASE64_URL_SAFE_NO_PAD.decode(proof).ok().filter(|proof| proof.len() == PROOF)?;
        self.proof(id)?.verify_truncated_left(&proof).ok().map(|()| id)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Place;

    #[test]
    fn a_token_names_its_connection_and_no_other_and_is_good_on_its_own_node_alone() {
        let (ours, others) = (Secret::new(), Secret::new());
        let id = |slot| ConnectionId::new(7, Place { lane: 1, generation: 3, slot });
        let token = ours.token(id(5)).unwrap();
        assert_eq!(ours.connection(&token), Some(id(5)));
        assert_eq!(others.connection(&token), None);
        let forged = format!("{}{}", id(6), &token[ID..]);
        assert_eq!(ours.connection(&forged), None);
        for bad in ["", "é", &token[..ID], &token[..token.len() - 1], &format!("{token}A")] {
            assert_eq!(ours.connection(bad), None, "{bad:?}");
        }
    }
}
