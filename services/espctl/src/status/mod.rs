//! The mesh as programs read it ([`view`]) and as people do ([`text`]).

pub mod text;
pub mod view;

pub use text::render;
pub use view::View;
