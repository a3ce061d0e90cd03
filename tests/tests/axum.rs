//! The suite on axum.

herenow_conformance::suite!("axum");
