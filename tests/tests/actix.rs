//! The suite on actix: in its own server, which keeps its sockets, and in herenow's, which gives them away.

mod kept {
    herenow_conformance::suite!("actix");
}

mod given_away {
    herenow_conformance::suite!("actix-fast");
}
