//! Who is asking: credentials, where they stand in a request, and what they allow.

mod authenticator;
mod authorize;
mod identity;
#[cfg(feature = "jwt")]
mod jwt;
mod origin;
mod source;
mod store;
mod ticket;

pub(crate) use authenticator::authenticate;
pub use authenticator::{AuthError, Authenticator, Credential, Nobody, Validity};
pub(crate) use authorize::allowed;
pub use authorize::{
    Action, Authorize, MembersSeeMembers, MembersShareChannels, OwnStatusOnly, members_see_members,
    own_status_only,
};
pub use identity::{Identity, NotAHandle, Token, TokenId};
#[cfg(feature = "jwt")]
pub use jwt::{JwtAuthenticator, JwtKeys};
pub(crate) use origin::browser_says_foreign;
pub use origin::{OriginDenied, Origins};
pub use source::{Ambiguous, Source, Sources};
pub(crate) use source::{BEARER_PROTOCOL, Found, is_http_token};
pub use store::{MemoryTokens, OpaqueTokens, StoreError, TokenStore};
pub(crate) use ticket::{
    TICKET_TTL, decode as decode_ticket, encode as encode_ticket, key as ticket_key, new_ticket,
};
