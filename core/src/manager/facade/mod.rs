//! What the facade says, by theme.

mod channels;
mod kick;
mod marks;
mod presence;
mod push;
