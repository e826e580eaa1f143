//! Make and measure guards.

pub mod error;
pub mod row;
pub mod mojibake;
pub mod output;
pub mod read;
pub mod write;

pub use error::{Error, Result};
