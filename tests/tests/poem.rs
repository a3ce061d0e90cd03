//! The suite on poem.

herenow_conformance::suite!("poem");
