//! herenow where none of its adapters is: the core's tower layer alone, on a bare hyper server and in a tonic
//! application.

mod bare_hyper;
mod desk;
mod in_tonic;
mod support;
